# Speak to the server from a game: say it and forget it. Nothing here ever makes the game wait.
#
#   the game --set_..., post_event, push_frame--> Link --poll, once a frame--> Courier --> server
#            <--poll: what the server said-------------------------------------'    <--
#
# Without a server every call does nothing but remember the newest state and the latest events.
# Wrong arguments are logged once and come out of `poll` as an error, as do the server's. All calls
# belong to one thread; the Courier has one of its own, which alone touches the socket.

const Courier = preload("courier.gd")
const Link = preload("link.gd")
const Messages = preload("messages.gd")
const Pcm = preload("pcm.gd")
const Platform = preload("platform.gd")
const Transport = preload("transport.gd")

const ENDPOINT = "tcp://127.0.0.1:7776"
const MAX_AHEAD = 60.0  # seconds that an event may lie ahead
const BUDGET = 500  # µs of a poll to listen, and as many to say; what is left waits for the next
const MAX_REPLIES = 256  # not polled yet; older ones are forgotten
const MAX_WARNINGS = 64

var errors = 0

var _endpoint = ""
var _instance  # this run of the game
var _link
var _messages = Messages.new()
var _may_have_thread
var _courier = null
var _pcm = null
var _replies = []
var _warned = {}
var _is_absence_told = false


# `event_ttl`: seconds that an event may wait for a server. `may_have_thread`: without, `poll` does
# the thread's work, too.
func _init(event_ttl = 10.0, may_have_thread = Platform.has_threads()):
	_may_have_thread = may_have_thread
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
	var transport = _new_transport(endpoint, _instance)
	if not transport.is_usable():
		_refuse("endpoint", "expected tcp://HOST:PORT, got '%s'" % endpoint)
		return
	_pcm = null
	if typeof(hello.get("pcm")) == TYPE_DICTIONARY:
		_pcm = Pcm.new(hello.pcm, pcm_depth)
	_endpoint = endpoint
	_link.introduce(hello)
	_courier = Courier.new(transport)
	_courier.start(_may_have_thread)


# The engine's clock in seconds: that of `at`.
func now():
	return Platform.usec() / 1000000.0


# A server listens to us.
func is_welcomed():
	return _link.phase == Link.OPEN


# All sounds of declared events are ready, those that the switches now want: for a loading screen.
# False without a server, or until it has told.
func is_bank_ready():
	return _link.is_bank_ready()


func stats():
	return {
		"connected": _link.phase != Link.AWAY,
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
	if _say("switch", {"type": "switch", "name": name, "value": value}):
		_link.switched("switch %s" % name, value)


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
	_link.named(id, name)
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


# Have the whole mix steered towards `lufs` (-40 to -10, BS.1770); null is as it comes.
func set_loudness(lufs):
	_say("loudness", {"type": "loudness", "lufs": lufs})


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


# What the server said since the last call, and what was wrong; what there is to say goes on its
# way. Call it once a frame.
func poll():
	if not is_welcomed():
		_link.expire(now())
	if _courier != null:
		if not _courier.has_thread():
			_courier.turn()
		_exchange()
		if not _courier.has_thread():
			_courier.turn()
	var replies = _replies
	_replies = []
	return replies


# Say goodbye if there is a server, and stop: 0.25 s at most, while the network takes nothing. What
# is said from now on waits for another `open`.
func close():
	if _courier == null:
		return
	var last = []
	if is_welcomed():
		var packed = _link.take(now())
		while packed != null:
			last.append(packed)
			packed = _link.take(now())
		last.append(_messages.pack({"type": "bye", "time": now()}))
	_courier.close(last)
	_courier = null
	_link.disconnected()


func _notification(what):
	# A client that nobody holds any more; what it is made of, but not itself, can still be called.
	if what == NOTIFICATION_PREDELETE and _courier != null:
		_courier.close([])


func _new_transport(endpoint, identity):
	return Transport.new(endpoint, identity)


# Take in what came, and hand over what there is to say. Not now, if the thread is just at it.
func _exchange():
	if not _courier.enter():
		return
	if _pcm != null:
		for piece in _courier.sound():
			_pcm.push(piece.number, piece.samples)
	var until = Platform.usec() + BUDGET
	var news = _courier.news()
	while news != null:
		_hear(news[0], news[1], news[2])
		news = _courier.news() if Platform.usec() < until else null
	until = Platform.usec() + BUDGET
	while _courier.has_room():
		var packed = _link.take(now())
		if packed == null:
			break
		_courier.hand(packed)
		if Platform.usec() > until:
			break
	_courier.leave()


# What came at `time`: a message, or why nothing can come any more.
func _hear(kind, time, what):
	match kind:
		Courier.CONNECTED:
			_link.connected(time)
		Courier.AWAY:
			_link.disconnected()
			if not _is_absence_told:
				_is_absence_told = true
				push_warning("the sound server at %s %s; trying on" % [_endpoint, what])
		Courier.SAID:
			_link.receive(what, time)
			if what.type == "welcome":
				_is_absence_told = false
			if what.type != "pong":
				_note(what)


# Keep a state for the server: the newest under its key counts. False if it is out of its limits.
func _say(kind, message):
	message["time"] = now()
	var packed = _checked(message)
	if packed != null:
		_link.say("%s %s" % [kind, message.get("name", "")], packed)
	return packed != null


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
