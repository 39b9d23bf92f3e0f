# Speak to the server from a game: say it and forget it. Nothing here ever makes the game wait.
#
#   the game --set_..., post_event, push_frame--> Link --poll, once a frame--> server
#            <--poll: what the server said------------------------------------'
#
# Without a server every call does nothing but remember the newest state and the latest events.
# Wrong arguments are logged once and come out of `poll` as an error, as do the server's. Everything
# runs on the thread that calls `poll`; no thread is made.

const Link = preload("link.gd")
const Messages = preload("messages.gd")
const Pcm = preload("pcm.gd")
const Platform = preload("platform.gd")
const Transport = preload("transport.gd")

const ENDPOINT = "tcp://127.0.0.1:7776"
const MAX_AHEAD = 60.0  # seconds that an event may lie ahead
const BUDGET = 500  # µs of a poll to read, and as many to write; what is left waits for the next
const GOODBYE = 250000  # µs at most
const MAX_REPLIES = 256  # not polled yet; older ones are forgotten
const MAX_WARNINGS = 64

var errors = 0

var _endpoint = ""
var _instance  # this run of the game
var _link
var _messages = Messages.new()
var _transport = null
var _pcm = null
var _replies = []
var _warned = {}
var _is_absence_told = false


# `event_ttl`: seconds that an event may wait for a server.
func _init(event_ttl = 10.0):
	_instance = Crypto.new().generate_random_bytes(16).hex_encode()
	_link = Link.new(_messages, event_ttl)


# Go to the server at `endpoint`; what was said before goes there, too.
#
# `declared` is what hello says: "engine", "parameters", "switches", "events", "buses", "snapshots",
# and "pcm" to have the sound sent here, for `read_pcm`, instead of being played by the server.
# `pcm_depth`: seconds of sound that are gathered before they are read; what the network needs.
#
# If the endpoint or a declaration is wrong, `poll` says so and nothing is connected.
func open(endpoint = ENDPOINT, declared = {}, pcm_depth = 0.03):
	close()
	var hello = declared.duplicate()
	hello["type"] = "hello"
	hello["version"] = Messages.VERSION
	hello["time"] = now()
	hello["engine"] = declared.get("engine", "godot")
	hello["instance"] = _instance
	if _checked(hello) == null:
		return
	var transport = Transport.new(endpoint, _instance)
	if not transport.is_usable():
		_refuse("endpoint", "expected tcp://HOST:PORT, got '%s'" % endpoint)
		return
	_pcm = null
	if typeof(hello.get("pcm")) == TYPE_DICTIONARY:
		_pcm = Pcm.new(hello.pcm, pcm_depth)
	_endpoint = endpoint
	_link.introduce(hello)
	_transport = transport


# The engine's clock in seconds: that of `at`.
func now():
	return Platform.usec() / 1000000.0


# A server listens to us.
func is_welcomed():
	return _link.phase == Link.OPEN


func stats():
	return {
		"connected": _transport != null and _transport.is_open(),
		"welcomed": is_welcomed(),
		"reconnects": int(max(0, _link.welcomes - 1)),
		"sent": _link.sent,
		"events_waiting": _link.events_waiting(),
		"events_acked": _link.events_acked,
		"events_given_up": _link.events_given_up,
		"frames_sent": _link.frames_sent,
		"frames_replaced": _link.frames_replaced,
		"errors": errors,
		"round_trip": _link.round_trip,
		"status": _link.status,
	}


# Say what should be heard: words, or up to three texts and their weights; "" is silence.
# `guidance`: how strictly; null leaves it. `ramp`: seconds in which what is heard becomes that.
func set_prompt(prompt, guidance = null, ramp = 0.0):
	var message = {"type": "prompt", "text": prompt, "guidance": guidance, "ramp": ramp}
	if typeof(prompt) == TYPE_DICTIONARY and prompt.size() > 0:
		var blend = prompt.duplicate()
		message["text"] = prompt.keys()[0]
		message["weight"] = prompt[message.text]
		blend.erase(message.text)
		message["blend"] = blend
	_say("prompt", message)


# Have some of "ambience", "music" and "foley" heard in the endless sound; none is all.
func set_layers(layers):
	_say("layers", {"type": "layers", "layers": layers})


# Move a declared parameter to `value` over `ramp` seconds.
func set_parameter(name, value, ramp = 0.0):
	_say("parameter", {"type": "parameter", "name": name, "value": value, "ramp": ramp})


# Give a switch one of its values.
func set_switch(name, value):
	_say("switch", {"type": "switch", "name": name, "value": value})


# Have something heard once; its id is returned. `position`: a Vector3 in metres, or null for
# everywhere. `occlusion`: how much stands before it, 0 to 1. `at`: when, on the clock of `now()`, a
# minute ahead at most; null is now. `bus`: "" is the one that it was declared with.
func post_event(name, gain_db = 0.0, position = null, occlusion = 0.0, at = null, bus = ""):
	var id = _link.next_id()
	var current = now()
	var message = {
		"type": "event",
		"id": id,
		"name": name,
		"time": current if typeof(at) == TYPE_NIL else at,
		"gain_db": gain_db,
		"position": position,
		"occlusion": occlusion,
		"bus": bus,
	}
	var packed = _checked(message)
	if packed == null:
		return id
	if message.time - current > MAX_AHEAD:
		_refuse("time", "expected at most %d s ahead, got %s" % [MAX_AHEAD, message.time - current])
	elif not _link.post(id, float(message.time), packed):
		var most = "expected at most %d on the way, got one more: the oldest are given up"
		_note({"type": "error", "code": "full", "field": "events", "message": most % Link.MAX_EVENTS})
	return id


# Make a bus louder or quieter, (un)mute it, or both, over `fade` seconds; null leaves a thing.
func set_bus(name, gain_db = null, mute = null, fade = 0.0):
	var is_silent = typeof(mute) == TYPE_NIL
	if is_silent or typeof(gain_db) != TYPE_NIL:
		_say("gain", {"type": "bus", "name": name, "gain_db": gain_db, "fade": fade})
	if not is_silent:
		_say("mute", {"type": "bus", "name": name, "mute": mute, "fade": fade})


# Bring in a declared snapshot of the mix over `fade` seconds; one that is in stays in.
func push_snapshot(name, fade = 0.0):
	_say("snapshot", {"type": "push_snapshot", "name": name, "fade": fade})


# Let a snapshot of the mix go over `fade` seconds; one that is not in stays out.
func pop_snapshot(name, fade = 0.0):
	_say("snapshot", {"type": "pop_snapshot", "name": name, "fade": fade})


# Say where the ears are, where they look, and where their own top is.
func set_listener(position, forward = Vector3(0, 0, -1), up = Vector3(0, 1, 0)):
	_say("listener", {"type": "listener", "position": position, "forward": forward, "up": up})


# Show what the player sees. `format`: rgb24, rgba8, bgra8 or gray8. `stride`: bytes per row, 0 if
# there is no padding. 128 x 72 at 10 to 15 Hz is plenty.
func push_frame(pixels, width, height, format = "rgb24", stride = 0, origin = "top"):
	var message = {
		"type": "frame",
		"width": width,
		"height": height,
		"time": now(),
		"pixels": pixels,
		"format": format,
		"stride": stride,
		"origin": origin,
	}
	var packed = _checked(message)
	if packed != null:
		_link.show(packed)


# The next `frames` of sound as Vector2s of left and right in ±1; never waits, silent without sound.
func read_pcm(frames):
	if _pcm == null:
		_refuse("pcm", "expected to be declared, got nothing")
		return Platform.vectors(Platform.no_bytes())
	return _pcm.read(frames)


# How the sound gets here; all zero without `pcm`.
func pcm_stats():
	if _pcm == null:
		return {"waiting": 0, "pieces": 0, "lost": 0, "underruns": 0, "skipped": 0}
	return {
		"waiting": _pcm.waiting(),
		"pieces": _pcm.pieces,
		"lost": _pcm.lost,
		"underruns": _pcm.underruns,
		"skipped": _pcm.skipped,
	}


# Receive and send; what the server said since the last call, and what was wrong. Call it once a
# frame.
func poll():
	if not is_welcomed():
		_link.expire(now())
	if _transport != null:
		_transport.pump(now())
		_read()
		_write()
	var replies = _replies
	_replies = []
	return replies


# Say goodbye if there is a server, and stop. What is said from now on waits for another `open`.
func close():
	if _transport == null:
		return
	var until = Platform.usec() + GOODBYE
	if is_welcomed():
		var is_said = false
		while _transport.is_open() and Platform.usec() < until:
			_write()
			if _transport.has_room() and not is_said:
				_transport.send(_messages.pack({"type": "bye", "time": now()}))
				is_said = true
			if _transport.flush(now()) and is_said:
				break
			OS.delay_usec(1000)
	_transport.close()
	_transport = null
	_link.disconnected()


func _read():
	var until = Platform.usec() + BUDGET
	while true:
		var bytes = _transport.receive(now())
		_follow()
		if bytes == null:
			return
		var message = _messages.unpack(bytes)
		if message != null:
			_hear(message)
		if Platform.usec() > until:
			return


# Learn how the transport is doing.
func _follow():
	var is_open = _transport.is_open()
	if is_open and _link.phase == Link.AWAY:
		_link.connected(now())
	elif not is_open and _link.phase != Link.AWAY:
		_link.disconnected()
	if not is_open and _transport.why_away != "" and not _is_absence_told:
		_is_absence_told = true
		push_warning("the sound server at %s %s; trying on" % [_endpoint, _transport.why_away])


func _hear(message):
	_link.receive(message, now())
	match message.type:
		"pcm":
			if _pcm != null:
				_pcm.push(message.number, message.samples)
		"pong":
			pass
		"welcome":
			_is_absence_told = false
			_note(message)
		_:
			_note(message)


func _write():
	var until = Platform.usec() + BUDGET
	while _transport.has_room():
		var packed = _link.take(now())
		if packed == null:
			break
		_transport.send(packed)
		if Platform.usec() > until:
			break
	_transport.flush(now())


# Keep a state for the server: the newest under its key counts.
func _say(kind, message):
	message["time"] = now()
	var packed = _checked(message)
	if packed != null:
		_link.say("%s %s" % [kind, message.get("name", "")], packed)


# The bytes of a message within its limits; else null, and the error is where `poll` finds it.
func _checked(message):
	var packed = _messages.pack(message)
	if packed == null:
		_refuse(_messages.field, _messages.why)
	return packed


func _refuse(field, why):
	_note({"type": "error", "code": "invalid", "field": field, "message": why})


# Keep a reply for `poll`; log an error, once for each thing that can be wrong.
func _note(reply):
	_replies.append(reply)
	if _replies.size() > MAX_REPLIES:
		_replies.pop_front()
	if reply.type != "error":
		return
	errors += 1
	var about = "%s: %s" % [reply.code, reply.field]
	if _warned.size() < MAX_WARNINGS and not _warned.has(about):
		_warned[about] = true
		push_warning("%s: %s" % [about, reply.message])
