# A TCP connection that is there whenever a server is. It never waits for anything.
#
#   away --a pause is over--> resolving --> connecting --> talking
#     ^------ refused, cut, silent: 0.1 s, 0.2 s ... 1 s later -----'

const Platform = preload("platform.gd")
const Zmtp = preload("zmtp.gd")

const FIRST_PAUSE = 0.1
const LONGEST_PAUSE = 1.0
const PATIENCE = 5.0  # seconds for an answer; the server pings once a second
const MOST_READ = 262144  # bytes at once

enum { AWAY, RESOLVING, CONNECTING, TALKING }

var why_away = ""

var _host = ""
var _port = 0
var _identity
var _state = AWAY
var _query = -1
var _tcp
var _zmtp
var _unsent = Platform.no_bytes()
var _pause = FIRST_PAUSE
var _again_at = 0.0
var _heard_at = 0.0


# `endpoint`: tcp://HOST:PORT. It is none if `is_usable` says no.
func _init(endpoint, identity):
	_identity = identity
	var colon = endpoint.rfind(":")
	if endpoint.begins_with("tcp://") and colon > 6:
		_host = endpoint.substr(6, colon - 6).trim_prefix("[").trim_suffix("]")
		_port = int(endpoint.substr(colon + 1, 5))


func is_usable():
	return _host != "" and _port > 0 and _port < 65536


# Messages can be sent, and come.
func is_open():
	return _state == TALKING and _zmtp.is_ready


# Goes on from where it is: connects, or reads what has come.
func pump(now):
	match _state:
		AWAY:
			if now >= _again_at:
				_begin(now)
		RESOLVING:
			_follow_query(now)
		_:
			_follow_socket(now)
	if _state != AWAY and now - _heard_at > PATIENCE:
		_leave("does not answer", now)


# The next message that has come, or null.
func receive(now):
	if _state != TALKING:
		return null
	var message = _zmtp.receive()
	if _zmtp.broken != "":
		_leave(_zmtp.broken, now)
		return null
	return message


# Bytes that the socket has not taken yet.
func waiting():
	return _unsent.size() + _zmtp.waiting() if is_open() else 0


# Only while it is open.
func send(message):
	_zmtp.send(message)


# Gives the socket what it takes; true if nothing is left.
func flush(now):
	if _state != TALKING:
		return true
	_unsent.append_array(_zmtp.take())
	if _unsent.size() == 0:
		return true
	var result = _tcp.put_partial_data(_unsent)
	if result[0] != OK:
		_leave("has gone", now)
		return true
	_unsent = Platform.part(_unsent, result[1], _unsent.size())
	return _unsent.size() == 0


func close():
	if _query >= 0:
		IP.erase_resolve_item(_query)
		_query = -1
	if _tcp != null:
		_tcp.disconnect_from_host()
		_tcp = null
	_state = AWAY


func _begin(now):
	_heard_at = now
	if _host.is_valid_ip_address():
		_connect(_host, now)
	else:
		_query = IP.resolve_hostname_queue_item(_host, IP.TYPE_IPV4)
		_state = RESOLVING


func _follow_query(now):
	match IP.get_resolve_item_status(_query):
		IP.RESOLVER_STATUS_DONE:
			var address = IP.get_resolve_item_address(_query)
			IP.erase_resolve_item(_query)
			_query = -1
			_connect(address, now)
		IP.RESOLVER_STATUS_ERROR:
			_leave("has no such name", now)


func _connect(address, now):
	_tcp = StreamPeerTCP.new()
	_state = CONNECTING
	if _tcp.connect_to_host(address, _port) != OK:
		_leave("is not there", now)


func _follow_socket(now):
	Platform.refresh(_tcp)
	if _state == TALKING:
		_read(now)
	if _state == AWAY:
		return
	match _tcp.get_status():
		StreamPeerTCP.STATUS_CONNECTED:
			if _state == CONNECTING:
				_state = TALKING
				_tcp.set_no_delay(true)
				_zmtp = Zmtp.new(_identity)
				_unsent = Platform.no_bytes()
				_heard_at = now
		StreamPeerTCP.STATUS_CONNECTING:
			pass
		_:
			_leave("is not there" if _state == CONNECTING else "has gone", now)


func _read(now):
	var there = _tcp.get_available_bytes()
	if there <= 0:
		return
	var result = _tcp.get_partial_data(int(min(there, MOST_READ)))
	if result[0] != OK:
		_leave("has gone", now)
		return
	_zmtp.feed(result[1])
	_heard_at = now


func _leave(why, now):
	_pause = FIRST_PAUSE if is_open() else _pause
	close()
	why_away = why
	_again_at = now + _pause
	_pause = min(2.0 * _pause, LONGEST_PAUSE)
