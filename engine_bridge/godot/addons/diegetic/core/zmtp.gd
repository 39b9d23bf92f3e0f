# One ZMTP 3.0 connection with the mechanism NULL, as a DEALER. It knows no socket.
#
#   ours:   greeting, READY | message, message, PONG ...
#   theirs: greeting, READY | message, PING, message ...

const Platform = preload("platform.gd")

const MAX_PART = 16777216
const GREETING = 64

const _MORE = 1
const _LONG = 2
const _COMMAND = 4

var is_ready = false  # both sides have said READY
var broken = ""  # why the connection has to be cut

var _identity
var _in = Platform.no_bytes()
var _at = 0  # up to here it has been read
var _out
var _is_greeted = false
var _size = 0  # of the frame whose head was read


func _init(identity):
	_identity = Platform.utf8(identity)
	_out = Platform.no_bytes()
	_out.append(0xff)
	for _index in range(8):
		_out.append(0)
	_out.append(0x7f)
	_out.append(3)  # version 3.0
	_out.append(0)
	_out.append_array(Platform.utf8("NULL"))
	while _out.size() < GREETING:
		_out.append(0)


# What has to be sent now.
func take():
	var bytes = _out
	_out = Platform.no_bytes()
	return bytes


# How much has to be sent.
func waiting():
	return _out.size()


# Have a message sent.
func send(message):
	_frame(0, message)


# Take in what has come.
func feed(bytes):
	if _at > 0:
		_in = Platform.part(_in, _at, _in.size())
		_at = 0
	_in.append_array(bytes)


# The next message that has come whole, or null.
func receive():
	if not _is_greeted and broken == "" and _in.size() - _at >= GREETING:
		_read_greeting()
	while _is_greeted and broken == "":
		var flags = _read_head()
		if flags < 0:
			return null
		var body = Platform.part(_in, _at, _at + _size)
		_at += _size
		if flags & _COMMAND:
			_obey(body)
		elif is_ready:
			return body
		else:
			broken = "a message came before READY"
	return null


# Reads a frame's head if all of the frame is there; its flags, or -1.
func _read_head():
	var there = _in.size() - _at
	if there < 2:
		return -1
	var flags = _in[_at]
	var head = 2
	_size = _in[_at + 1]
	if flags & _LONG:
		if there < 9:
			return -1
		head = 9
		_size = 0
		for index in range(8):
			_size = (_size << 8) | _in[_at + 1 + index]
	if flags & _MORE:
		broken = "a message of more than one part came"
	elif flags & ~(_LONG | _COMMAND) or _size < 0 or _size > MAX_PART:
		broken = "what came is no frame"
	if broken != "" or there < head + _size:
		return -1
	_at += head
	return flags


func _read_greeting():
	var mechanism = Platform.part(_in, _at + 12, _at + 32).get_string_from_ascii()
	if _in[_at] != 0xff or _in[_at + 9] & 1 == 0:
		broken = "who answered does not speak ZeroMQ"
	elif _in[_at + 10] < 3 or mechanism != "NULL":
		broken = "expected ZMTP 3 without secrets, got %d %s" % [_in[_at + 10], mechanism]
	else:
		_is_greeted = true
		_at += GREETING
		_say_ready()


func _say_ready():
	var body = _named("READY")
	body.append_array(_property("Socket-Type", Platform.utf8("DEALER")))
	body.append_array(_property("Identity", _identity))
	_frame(_COMMAND, body)


func _property(title, value):
	var bytes = _named(title)
	for shift in [24, 16, 8, 0]:
		bytes.append((value.size() >> shift) & 255)
	bytes.append_array(value)
	return bytes


# A text under 256 letters with its length before it.
func _named(title):
	var bytes = Platform.no_bytes()
	bytes.append(title.length())
	bytes.append_array(Platform.utf8(title))
	return bytes


func _obey(body):
	var letters = body[0] if body.size() > 0 else 0
	match Platform.part(body, 1, 1 + letters).get_string_from_ascii():
		"READY":
			is_ready = true
		"PING":  # its context comes back; before that stands the time that it may take
			var pong = _named("PONG")
			pong.append_array(Platform.part(body, 7, body.size()))
			_frame(_COMMAND, pong)
		"ERROR":
			broken = "the server refused the connection"


func _frame(flags, body):
	if body.size() < 256:
		_out.append(flags)
		_out.append(body.size())
	else:
		_out.append(flags | _LONG)
		for shift in [56, 48, 40, 32, 24, 16, 8, 0]:
			_out.append((body.size() >> shift) & 255)
	_out.append_array(body)
