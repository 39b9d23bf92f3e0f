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
#
# Which sounds the bank is to have depends on hello, on switches, and on names that are posted
# undeclared. Once all of that has been sent, a ping follows (or the hello was enough): a status
# that has `heard` it tells of the bank that is wanted now, and none before it does.

const Platform = preload("platform.gd")

const HELLO_AGAIN = 2.0
const PING_INTERVAL = 1.0
const MAX_NAMES = 1024  # of undeclared events that make a difference; servers know no more
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
var _declared = {}  # names of events
var _posted = {}  # those that were not declared
var _values = {}  # of switches, by their keys
var _undeclared = {}  # ids of events that are kept
var _news = null  # the key of what was said last that the bank depends on
var _greeted = 0.0  # time of the newest hello or ping
var _asked = null  # of the one that followed all news
var _is_bank_ready = false


# `event_ttl`: seconds that an event may wait for a server.
func _init(messages, event_ttl):
	_messages = messages
	_ttl = event_ttl


# What is said to a server first.
func introduce(hello):
	_hello = hello
	_declared = {}
	for event in hello.get("events", []):
		_declared[event if typeof(event) == TYPE_STRING else event.name] = true


func next_id():
	_next_id += 1
	return _next_id - 1


func events_waiting():
	return _unacked.size()


# All sounds that are wanted now are ready; false until a server has said so.
func is_bank_ready():
	return phase == OPEN and _is_bank_ready


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


# The switch that was said last, under `key`, has this value now.
func switched(key, value):
	var is_new = not _values.has(key) or _values[key] != value
	_values[key] = value
	_look(key, is_new)


# The event that was posted last has this name, which may not have been declared.
func named(id, name):
	if _declared.has(name) or not _kept.has(id):
		return
	var is_new = not _posted.has(name) and _posted.size() < MAX_NAMES
	if is_new:
		_posted[name] = true
	_undeclared[id] = true
	_look(id, is_new)


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
			var is_told = _asked != null and message.heard >= _asked
			_is_bank_ready = is_told and message.bank_ready >= message.bank_wanted


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
		_greeted = now
		packed = _messages.pack(_hello)
	elif phase == OPEN and (now >= _ping_at or _is_to_ask() and now > _greeted):
		# First: no flood may let the clocks drift apart
		if _is_to_ask():
			_asked = now
		_greeted = now
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
	_is_bank_ready = false
	_news = null
	for key in _kept:
		if _values.has(key) or _undeclared.has(key):
			_news = key
	_asked = _greeted if _news == null else null


# All that the bank depends on has been sent, and no ping yet that tells it apart.
func _is_to_ask():
	return _asked == null and not _outbox.has(_news)


# This was said last, and the bank depends on it; if it is new, no status tells of it yet.
func _look(key, is_new):
	_news = key
	if is_new:
		_asked = null
		_is_bank_ready = false


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
	_undeclared.erase(id)
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
