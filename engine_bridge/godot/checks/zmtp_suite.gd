# The bytes of ZMTP 3.0, without a socket.
extends "suite.gd"

const Zmtp = preload("../addons/diegetic/core/zmtp.gd")


# The greeting and READY of a ROUTER, as libzmq says them.
func server_opening():
	var bytes = bytes_of([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1])
	bytes.append_array(Platform.utf8("NULL"))
	while bytes.size() < Zmtp.GREETING:
		bytes.append(0)
	var kind = [11] + letters("Socket-Type") + [0, 0, 0, 6] + letters("ROUTER")
	bytes.append_array(command("READY", kind))
	return bytes


func command(title, rest):
	var body = [title.length()] + letters(title) + rest
	return bytes_of([4, body.size()] + body)


func letters(text):
	var codes = []
	for code in Platform.utf8(text):
		codes.append(code)
	return codes


func ready_zmtp():
	var zmtp = Zmtp.new("me")
	zmtp.feed(server_opening())
	zmtp.receive()
	zmtp.take()
	return zmtp


func test_the_greeting_is_that_of_zmtp_3_0_and_ready_follows_theirs():
	var zmtp = Zmtp.new("me")
	var greeting = zmtp.take()
	expect(greeting.size(), Zmtp.GREETING)
	expect(greeting.hex_encode().left(32), "ff00000000000000007f03004e554c4c")
	zmtp.feed(server_opening())
	expect_true(zmtp.receive() == null and zmtp.is_ready, "READY is no message")
	var ready = [11] + letters("Socket-Type") + [0, 0, 0, 6] + letters("DEALER")
	ready += [8] + letters("Identity") + [0, 0, 0, 2] + letters("me")
	expect(zmtp.take().hex_encode(), command("READY", ready).hex_encode())


func test_it_does_not_matter_in_which_pieces_bytes_come():
	var zmtp = Zmtp.new("me")
	var bytes = server_opening()
	bytes.append_array(bytes_of([0, 3, 7, 8, 9, 0, 0]))
	var messages = []
	for index in range(bytes.size()):
		zmtp.feed(Platform.part(bytes, index, index + 1))
		var message = zmtp.receive()
		if message != null:
			messages.append(message.hex_encode())
	expect(messages, ["070809", ""])
	expect(zmtp.broken, "")


func test_messages_of_256_bytes_have_a_long_head_both_ways():
	for size in [0, 1, 255, 256, 70000]:
		var zmtp = ready_zmtp()
		var message = Platform.no_bytes()
		message.resize(size)
		if size > 0:
			message[size - 1] = 5
		zmtp.send(message)
		var frame = zmtp.take()
		expect(frame.size(), size + (2 if size < 256 else 9))
		expect(frame[0], 0 if size < 256 else 2)
		zmtp.feed(frame)
		expect(zmtp.receive().hex_encode(), message.hex_encode())


func test_a_ping_is_answered_with_its_context():
	var zmtp = ready_zmtp()
	zmtp.feed(command("PING", [0, 25, 1, 2, 3]))
	zmtp.feed(command("PING", [0, 25]))
	expect_true(zmtp.receive() == null, "a ping is no message")
	expect(zmtp.take().hex_encode(), "040804504f4e47010203" + "040504504f4e47")
	expect(zmtp.broken, "")


func test_what_is_no_zeromq_breaks_the_connection():
	var zmtp = Zmtp.new("me")
	var page = Platform.utf8("HTTP/1.1 400 Bad Request")
	while page.size() < 100:
		page.append(32)
	zmtp.feed(page)
	expect_true(zmtp.receive() == null and zmtp.broken != "", "HTTP is no ZMTP")


func test_parts_and_strange_frames_break_the_connection():
	var negative = [2, 255, 0, 0, 0, 0, 0, 0, 0]
	var too_large = [2, 0, 0, 0, 0, 1, 0, 0, 1]
	for frame in [[1, 1, 7], [5, 1, 7], [8, 1, 7], negative, too_large]:
		var zmtp = ready_zmtp()
		zmtp.feed(bytes_of(frame))
		expect_true(zmtp.receive() == null and zmtp.broken != "", str(frame))


func test_a_message_before_ready_breaks_the_connection():
	var zmtp = Zmtp.new("me")
	zmtp.feed(Platform.part(server_opening(), 0, Zmtp.GREETING))
	zmtp.feed(bytes_of([0, 1, 7]))
	expect_true(zmtp.receive() == null and zmtp.broken != "", "it was taken")
