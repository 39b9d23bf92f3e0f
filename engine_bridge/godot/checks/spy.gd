# A Transport that counts from which thread it is touched; the socket is in it, and nowhere else.

const Platform = preload("../addons/diegetic/core/platform.gd")
const Transport = preload("../addons/diegetic/core/transport.gd")

var why_away = ""
var from_main = 0
var from_others = 0
var is_closed = false

var _transport
var _main_mutex


# `main_mutex`: the main thread has it, and may take it once more, as nobody else may.
func _init(endpoint, identity, main_mutex):
	_main_mutex = main_mutex
	_transport = Transport.new(endpoint, identity)


func is_usable():
	return _transport.is_usable()


func is_open():
	_count()
	return _transport.is_open()


func pump(now):
	_count()
	_transport.pump(now)
	why_away = _transport.why_away


func receive(now):
	_count()
	return _transport.receive(now)


func waiting():
	_count()
	return _transport.waiting()


func send(message):
	_count()
	_transport.send(message)


func flush(now):
	_count()
	return _transport.flush(now)


func close():
	_count()
	is_closed = true
	_transport.close()


func _count():
	if Platform.try_lock(_main_mutex):
		_main_mutex.unlock()
		from_main += 1
	else:
		from_others += 1
