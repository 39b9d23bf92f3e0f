# Carries what is said to the server, and the answers back, on a thread of its own.
#
#   the game's thread           mutex            this thread, every PACE
#   Client --hand------------> outbox -----------> Transport --> socket
#          <-news, sound------ heard, pieces <---- Transport <--
#
# This thread alone touches the socket. The game wakes nobody, for whom it wakes may take its core
# away, and neither waits for the other: who finds the mutex taken comes again. Where no thread can
# be had, the game's calls `turn` instead.

const Messages = preload("messages.gd")
const Platform = preload("platform.gd")

const PACE = 4000  # µs between two looks, as long as something is said or heard
const REST = 10000  # µs between two looks otherwise
const STAY = 100000  # µs after the last word for which it keeps the pace
const AGAIN = 500  # µs after the mutex was found taken
const BUDGET = 500  # µs of a look to read; what is left waits for the next
const GOODBYE = 250000  # µs at most
const MOST_WAITING = 65536  # bytes on their way to the socket; more are not asked for
const MOST_HEARD = 1024  # that the game has not asked for; then nothing more is read
const MOST_PIECES = 256  # of sound that the game has not asked for; older ones are forgotten

enum { CONNECTED, AWAY, SAID }

var _mutex = Mutex.new()
var _thread = null

# Both threads', under the mutex.
var _outbox = []  # packed
var _handed = 0  # bytes in the outbox
var _ahead = 0  # bytes before those
var _heard = []  # [kind, time, what] in the order in which it came
var _pieces = []  # of sound
var _is_closing = false

# This thread's own.
var _transport
var _messages = Messages.new()
var _said = []  # what the game handed over
var _news = []
var _sound = []
var _unheard = 0  # of `_heard`, at the latest meeting
var _was_open = false
var _why_away = ""
var _is_cut = false  # since the game's latest words, which are those for another session
var _is_met = true
var _talk_ends = 0  # µs


# `transport` is no longer its maker's.
func _init(transport):
	_transport = transport


# Begin; without `may_have_thread` nothing is done but in `turn`.
func start(may_have_thread):
	if not may_have_thread:
		return
	var thread = Thread.new()
	if Platform.begin(thread, self, "_run"):
		_thread = thread


func has_thread():
	return _thread != null


# Begin to exchange, from the game's thread; false if this thread is just at it.
func enter():
	return Platform.try_lock(_mutex)


# Between `enter` and `leave`: the next of what came, or null.
func news():
	return _heard.pop_front()


# Between `enter` and `leave`: the sound that came.
func sound():
	var pieces = _pieces
	_pieces = []
	return pieces


# Between `enter` and `leave`: to hand over more now would let it grow old here. While there is news
# it is not said, as it may have been meant for a session that is over.
func has_room():
	return _heard.size() == 0 and _ahead + _handed < MOST_WAITING


# Between `enter` and `leave`: have a packed message sent.
func hand(packed):
	_outbox.append(packed)
	_handed += packed.size()


func leave():
	_mutex.unlock()


# Say `last` (packed) to a server that is there, for 0.25 s at most, and end.
func close(last):
	_mutex.lock()
	_outbox += last
	_is_closing = true
	_mutex.unlock()
	if _thread != null:
		_thread.wait_to_finish()
		_thread = null
		return
	while not turn():
		pass
	_finish()


# One look at the socket and at the outbox; true if it was the last.
func turn():
	_read()
	var is_last = _meet()
	_write()
	return is_last


func _run(_self):
	while not turn():
		OS.delay_usec(_rest())
	_finish()


func _rest():
	if not _is_met:
		return AGAIN
	return PACE if Platform.usec() < _talk_ends else REST


func _read():
	if _unheard + _news.size() >= MOST_HEARD:
		return
	_transport.pump(_now())
	var until = Platform.usec() + BUDGET
	while true:
		var bytes = _transport.receive(_now())
		_follow()
		if bytes == null:
			return
		var message = _messages.unpack(bytes)
		if message != null and message.type == "pcm":
			_sound.append(message)
		elif message != null:
			_news.append([SAID, _now(), message])
		if Platform.usec() > until:
			return


# Learn how the transport is doing.
func _follow():
	var is_open = _transport.is_open()
	if is_open and not _was_open:
		_news.append([CONNECTED, _now(), ""])
	elif not is_open and (_was_open or _why_away != _transport.why_away):
		_news.append([AWAY, _now(), _transport.why_away])
		_is_cut = true
	_was_open = is_open
	_why_away = _transport.why_away


# Exchange with the game; true if it has closed.
func _meet():
	_is_met = Platform.try_lock(_mutex)
	if not _is_met:
		return false
	if _outbox.size() + _news.size() + _sound.size() > 0:
		_talk_ends = Platform.usec() + STAY
	if not _is_cut:
		_said = _outbox
	_ahead = _transport.waiting() + _handed
	_outbox = []
	_handed = 0
	_is_cut = false
	_heard += _news
	_unheard = _heard.size()
	_news = []
	_pieces += _sound
	_sound = []
	while _pieces.size() > MOST_PIECES:
		_pieces.pop_front()
	var is_closing = _is_closing
	_mutex.unlock()
	return is_closing


func _write():
	if _transport.is_open():
		for packed in _said:
			_transport.send(packed)
	_said = []
	_transport.flush(_now())
	_follow()


# Wait until the socket has taken all, or is gone, or it has been long enough.
func _finish():
	var until = Platform.usec() + GOODBYE
	while _transport.is_open() and not _transport.flush(_now()) and Platform.usec() < until:
		OS.delay_usec(1000)
	_transport.close()


func _now():
	return Platform.usec() / 1000000.0
