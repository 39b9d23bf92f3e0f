# What goes between the game and the thread: whole, in order, and without anyone waiting.
extends "suite.gd"

const Courier = preload("../addons/diegetic/core/courier.gd")


# Stands for Transport.
class Line:
	var why_away = ""
	var is_up = false
	var sent = []
	var to_come = []
	var is_closed = false
	var takes_all = true
	var breaks = false  # as soon as it is flushed

	func is_open():
		return is_up

	func pump(_now):
		pass

	func receive(_now):
		return to_come.pop_front() if is_up else null

	func waiting():
		return 0

	func send(message):
		sent.append(message.hex_encode())

	func flush(_now):
		is_up = is_up and not breaks
		return takes_all

	func close():
		is_closed = true
		is_up = false


# Takes a courier's mutex, on a thread of its own.
class Holder:
	var begun = Semaphore.new()
	var done = Semaphore.new()
	var courier
	var took = []

	func hold(_self):
		took.append(courier.enter())
		begun.post()
		done.wait()
		courier.leave()


var line
var courier


func begin():
	line = Line.new()
	courier = Courier.new(line)
	courier.start(false)


func connect_line():
	line.is_up = true
	courier.turn()
	collect()


# The kinds of what came, and of sound its numbers.
func collect():
	expect(courier.enter(), true)
	var kinds = []
	var news = courier.news()
	while news != null:
		kinds.append(news[0])
		news = courier.news()
	for piece in courier.sound():
		kinds.append("pcm %d" % piece.number)
	courier.leave()
	return kinds


func hand(list):
	expect(courier.enter(), true)
	courier.hand(bytes_of(list))
	courier.leave()


# A piece of no sound, as a server packs it.
func pcm(number):
	var head = "83a474797065a370636da66e756d626572cd"
	return bytes_of_hex(head + "%04x" % number + "a773616d706c6573c400")


func ack():
	return bytes_of_hex("82a474797065a361636ba66576656e747390")


func bytes_of_hex(text):
	var list = []
	for index in range(0, text.length(), 2):
		list.append(("0x" + text.substr(index, 2)).hex_to_int())
	return bytes_of(list)


func turn_until_all_has_come():
	while line.to_come.size() > 0:
		var left = line.to_come.size()
		courier.turn()
		if line.to_come.size() == left:
			return


func test_what_is_handed_over_is_sent_in_its_order():
	begin()
	connect_line()
	hand([1])
	hand([2])
	courier.turn()
	hand([3])
	courier.turn()
	courier.turn()
	expect(line.sent, ["01", "02", "03"])


func test_what_was_meant_for_a_lost_session_is_not_said_to_the_next():
	begin()
	connect_line()
	line.breaks = true
	courier.turn()
	hand([1])
	line.breaks = false
	line.is_up = true
	courier.turn()
	expect(line.sent, [])
	expect(collect(), [Courier.AWAY, Courier.CONNECTED])
	hand([2])
	courier.turn()
	expect(line.sent, ["02"])


func test_nothing_is_handed_over_before_all_news_was_heard():
	begin()
	line.is_up = true
	courier.turn()
	expect(courier.enter(), true)
	expect(courier.has_room(), false)
	expect(courier.news()[0], Courier.CONNECTED)
	expect(courier.has_room(), true)
	courier.leave()


func test_no_more_is_asked_for_than_the_socket_takes():
	begin()
	connect_line()
	var message = Platform.no_bytes()
	message.resize(40000)
	expect(courier.enter(), true)
	courier.hand(message)
	expect(courier.has_room(), true)
	courier.hand(message)
	expect(courier.has_room(), false)
	courier.leave()
	courier.turn()
	courier.turn()
	expect(courier.enter(), true)
	expect(courier.has_room(), true)
	courier.leave()


func test_of_sound_that_nobody_asks_for_the_newest_stays():
	begin()
	connect_line()
	for number in range(Courier.MOST_PIECES + 44):
		line.to_come.append(pcm(number))
	turn_until_all_has_come()
	var kinds = collect()
	expect(kinds.size(), Courier.MOST_PIECES)
	expect(kinds[0], "pcm 44")
	expect(kinds[kinds.size() - 1], "pcm %d" % (Courier.MOST_PIECES + 43))


func test_of_other_news_nothing_is_lost_but_read_later():
	begin()
	connect_line()
	var count = Courier.MOST_HEARD + 500
	for _index in range(count):
		line.to_come.append(ack())
	turn_until_all_has_come()
	expect_true(line.to_come.size() > 0, "it has read on without end")
	var heard = collect().size()
	turn_until_all_has_come()
	heard += collect().size()
	turn_until_all_has_come()
	expect(heard + collect().size(), count)


func test_who_finds_the_mutex_taken_comes_again():
	begin()
	connect_line()
	hand([1])
	var holder = Holder.new()
	holder.courier = courier
	var thread = Thread.new()
	expect(Platform.begin(thread, holder, "hold"), true)
	holder.begun.wait()
	expect(courier.enter(), false)
	expect(courier.turn(), false)
	expect(line.sent, [])
	holder.done.post()
	thread.wait_to_finish()
	expect(holder.took, [true])
	courier.turn()
	expect(line.sent, ["01"])


func test_the_last_words_are_said_and_nothing_is_waited_for_long():
	begin()
	connect_line()
	hand([1])
	line.takes_all = false
	courier.close([bytes_of([2])])
	expect(line.sent, ["01", "02"])
	expect_true(line.is_closed, "the socket is open")


func test_a_thread_ends_when_its_courier_is_closed():
	line = Line.new()
	courier = Courier.new(line)
	courier.start(Platform.has_threads())
	expect_true(courier.has_thread(), "there is none")
	courier.close([])
	expect_true(line.is_closed and not courier.has_thread(), "it goes on")
