# The engine's half of one connection: what to send next, what has not arrived. It knows no socket.
#
#   away --connected--> knocking --welcome--> open --disconnected--> away
#                         ^ `--error, silence: again after a while
#                         `--------------"no-hello"------'
#
# What the game says is kept, packed, under a key. A state (the prompt, a parameter, whether a
# snapshot is in ...) is kept for good, its newest value only; an event, whose key is its id, until
# it is acknowledged. Whenever a session opens, everything kept is sent again, in the order in which
# it was said. A frame is kept only until a newer one comes. All times are seconds of the engine's
# clock.

const Platform = preload("platform.gd")

const HELLO_AGAIN = 2.0
const PING_INTERVAL = 1.0
const MAX_EVENTS = 16384  # not acknowledged; of more than these the oldest goes, and is counted

enum { AWAY, KNOCKING, OPEN }

var phase = AWAY
var sent = 0
var frames_sent = 0
var frames_replaced = 0
var events_acked = 0
var events_given_up = 0
var welcomes = 0
var round_trip = 0.0
var status = {}

var _messages
var _hello = {}
var _ttl
var _kept = {}
var _outbox = {}
var _unacked = {}  # ids of events, in the order of saying
var _times = []  # of events, in order; the ids stand at the same places beside them
var _ids = []  # may hold some that were acknowledged
var _is_full = false
var _frame = null
var _next_id = 1
var _hello_at = 0.0
var _ping_at = 0.0


# `event_ttl`: seconds that an event may wait for a server.
func _init(messages, event_ttl):
	_messages = messages
	_ttl = event_ttl


# What is said to a server first.
func introduce(hello):
	_hello = hello


func next_id():
	_next_id += 1
	return _next_id - 1


func events_waiting():
	return _unacked.size()


# Have a state sent; an older value that still waits is replaced.
func say(key, packed):
	_kept.erase(key)
	_outbox.erase(key)
	_kept[key] = packed
	_outbox[key] = packed


# Have an event sent. False if there are too many: the oldest goes. It is said once until there is
# room again.
func post(id, time, packed):
	say(id, packed)
	_unacked[id] = true
	if _ids.size() > 2 * _unacked.size() + 256:
		_tidy()
	var place = _times.bsearch(time, false)
	_times.insert(place, time)
	_ids.insert(place, id)
	if _unacked.size() <= MAX_EVENTS:
		return true
	_give_up(_first(_unacked))
	var was_full = _is_full
	_is_full = true
	return was_full


# Have a frame sent when the socket takes it; one that still waits makes way.
func show(packed):
	if _frame != null:
		frames_replaced += 1
	_frame = packed


# The transport reaches a server: knock.
func connected(now):
	phase = KNOCKING
	_hello_at = now


func disconnected():
	phase = AWAY


# Take in what the server said.
func receive(message, now):
	match message.type:
		"welcome":
			if phase == KNOCKING:
				_open(now)
		"ack":
			for id in message.events:
				if _forget(id):
					events_acked += 1
			_is_full = _is_full and _unacked.size() > MAX_EVENTS >> 1
		"pong":
			round_trip = now - message.time
		"error":
			if message.code == "no-hello" and phase == OPEN:
				connected(now)
		"status":
			status = message


# Give up the events that have waited too long for a server.
func expire(now):
	var late = _times.bsearch(now - _ttl, true)
	for index in range(late):
		_give_up(_ids[index])
	if late > 0:
		_times = Platform.tail(_times, late)
		_ids = Platform.tail(_ids, late)


# What should be sent next, packed, or null. It counts as sent.
func take(now):
	var packed = null
	if phase == KNOCKING and now >= _hello_at:
		_hello_at = now + HELLO_AGAIN
		_hello["time"] = now
		packed = _messages.pack(_hello)
	elif phase == OPEN and now >= _ping_at:  # first: no flood may let the clocks drift apart
		_ping_at = now + PING_INTERVAL
		packed = _messages.pack({"type": "ping", "time": now})
	elif phase == OPEN and _outbox.size() > 0:
		var key = _first(_outbox)
		packed = _outbox[key]
		_outbox.erase(key)
	elif phase == OPEN and _frame != null:
		packed = _frame
		_frame = null
		frames_sent += 1
	if packed != null:
		sent += 1
	return packed


func _open(now):
	phase = OPEN
	welcomes += 1
	_ping_at = now + PING_INTERVAL
	expire(now)
	_outbox = _kept.duplicate()  # its order is that in which things were said


func _give_up(id):
	if _forget(id):
		events_given_up += 1


# Wait for this event's acknowledgement no longer; false if nobody waited.
func _forget(id):
	if not _unacked.has(id):
		return false
	_unacked.erase(id)
	_kept.erase(id)
	_outbox.erase(id)
	return true


func _tidy():
	var times = []
	var ids = []
	for index in range(_ids.size()):
		if _unacked.has(_ids[index]):
			times.append(_times[index])
			ids.append(_ids[index])
	_times = times
	_ids = ids


# The oldest key; finding it costs nothing.
func _first(dictionary):
	for key in dictionary:
		return key
	return null
