# What is said, again and when; on a clock of the test's own.
extends "suite.gd"

const Link = preload("../addons/diegetic/core/link.gd")
const Messages = preload("../addons/diegetic/core/messages.gd")

const HELLO = {"type": "hello", "version": 1, "time": 0.0, "events": ["shot", {"name": "step"}]}
const WELCOME = {"type": "welcome"}


func new_link():
	var link = Link.new(Messages.new(), 10.0)
	link.introduce(HELLO.duplicate())
	return link


func open_link(now = 0.0):
	var link = new_link()
	link.connected(now)
	drain(link, now)
	link.receive(WELCOME, now)
	return link


# What the link sends now: texts stand for packed messages, "..." for hello, ping and the like.
func drain(link, now):
	var said = []
	var packed = link.take(now)
	while packed != null:
		said.append(packed if typeof(packed) == TYPE_STRING else "...")
		packed = link.take(now)
	return said


func test_nothing_is_said_before_welcome_but_hello_again_after_two_seconds():
	var link = new_link()
	link.say("prompt", "rain")
	expect(drain(link, 0.0), [])
	link.connected(1.0)
	expect(drain(link, 1.0), ["..."])
	expect(drain(link, 2.9), [])
	expect(drain(link, 3.1), ["..."])
	link.receive(WELCOME, 3.2)
	expect(drain(link, 3.2), ["rain"])


func test_a_server_that_knows_us_no_more_gets_hello_and_everything_again():
	var link = open_link()
	link.say("prompt", "rain")
	link.post(1, 0.0, "shot")
	drain(link, 0.1)
	link.receive({"type": "error", "code": "no-hello"}, 0.2)
	expect(drain(link, 0.2), ["..."])
	link.receive(WELCOME, 0.3)
	expect(drain(link, 0.3), ["rain", "shot"])


func test_a_state_is_replaced_by_its_successor_which_takes_its_own_turn():
	var link = open_link()
	link.say("a", "a1")
	link.post(1, 0.0, "shot")
	link.say("b", "b1")
	link.say("a", "a2")
	expect(drain(link, 0.0), ["shot", "b1", "a2"])


func test_after_a_reconnect_the_newest_states_and_open_events_come_in_their_order():
	var link = open_link()
	link.say("a", "a1")
	link.post(1, 0.0, "one")
	link.post(2, 0.0, "two")
	link.say("b", "b1")
	drain(link, 0.0)
	link.receive({"type": "ack", "events": [1, 77]}, 0.1)
	link.disconnected()
	link.say("a", "a2")
	expect(drain(link, 0.2), [])
	link.connected(0.3)
	drain(link, 0.3)
	link.receive(WELCOME, 0.4)
	expect(drain(link, 0.4), ["two", "b1", "a2"])
	expect(link.events_acked, 1)
	expect(link.events_waiting(), 1)
	expect(link.welcomes, 2)


func test_an_event_waits_ten_seconds_for_a_server():
	var link = new_link()
	link.post(1, 0.0, "early")
	link.post(2, 50.0, "ahead")
	link.post(3, 1.0, "late")
	link.expire(10.5)
	expect(link.events_given_up, 1)
	link.connected(10.6)
	drain(link, 10.6)
	link.receive(WELCOME, 11.5)
	expect(drain(link, 11.5), ["ahead"])
	expect(link.events_given_up, 2)


func test_of_too_many_events_the_oldest_goes_and_it_is_told_once():
	var link = new_link()
	var told = 0
	for id in range(Link.MAX_EVENTS + 3):
		told += 0 if link.post(id, 0.0, "shot") else 1
	expect(told, 1)
	expect(link.events_given_up, 3)
	expect(link.events_waiting(), Link.MAX_EVENTS)
	expect_true(not link._forget(2), "the oldest are those that go")
	link.receive({"type": "ack", "events": range(Link.MAX_EVENTS)}, 0.0)
	expect(link.events_waiting(), 3)


func test_acknowledged_events_leave_nothing_behind():
	var link = open_link()
	for id in range(2000):
		link.post(id, 0.001 * id, "shot")
		link.receive({"type": "ack", "events": [id]}, 0.0)
	expect(link.events_acked, 2000)
	expect_true(link._ids.size() < 1000 and link._times.size() == link._ids.size(), "too much kept")
	expect(link._kept.size(), 0)


func test_only_the_newest_frame_waits_and_it_comes_last():
	var link = open_link()
	link.show("frame 1")
	link.show("frame 2")
	link.say("prompt", "rain")
	expect(drain(link, 0.0), ["rain", "frame 2"])
	expect(link.frames_replaced, 1)
	expect(link.frames_sent, 1)


func test_a_ping_comes_every_second_and_before_all_else():
	var link = open_link()
	link.say("prompt", "rain")
	expect(drain(link, 1.1), ["...", "rain"])
	expect(drain(link, 2.0), [])
	expect(drain(link, 2.2), ["..."])
	link.receive({"type": "pong", "time": 2.2, "server_time": 0.0}, 2.25)
	expect_true(abs(link.round_trip - 0.05) < 1e-9, "the round trip is the pong's")


# Whether the bank is ready after a status that has heard what was said up to `heard`.
func is_ready(link, heard, ready = 12):
	var status = {"type": "status", "heard": heard, "bank_ready": ready, "bank_wanted": 12}
	link.receive(status, heard)
	return link.is_bank_ready()


func turn(link, value):
	link.say("switch surface", value)
	link.switched("switch surface", value)


func test_a_full_bank_is_one_of_which_a_server_has_told_since_hello():
	var link = open_link(20.0)
	expect(link.is_bank_ready(), false)
	expect(is_ready(link, 0.0), false)
	expect(is_ready(link, 19.9), false)
	expect(is_ready(link, 20.0, 11), false)
	expect(is_ready(link, 20.0), true)
	link.disconnected()
	expect(link.is_bank_ready(), false)


func test_after_a_switch_only_a_status_that_has_heard_of_it_tells():
	var link = open_link(20.0)
	expect(is_ready(link, 20.0), true)
	turn(link, "grass")
	expect(link.is_bank_ready(), false)
	expect(drain(link, 20.0), ["grass"])  # the clock stands: no two pings are alike
	expect(is_ready(link, 20.0), false)
	expect(drain(link, 20.1), ["..."])
	expect(is_ready(link, 20.0), false)
	expect(is_ready(link, 20.1), true)
	turn(link, "grass")  # as a game does that says it in every frame
	link.post(1, 20.2, "shot 1")
	link.named(1, "shot")
	link.post(2, 20.2, "step 2")
	link.named(2, "step")
	expect(link.is_bank_ready(), true)
	expect(drain(link, 20.2), ["grass", "shot 1", "step 2"])


func test_a_value_that_is_said_again_while_it_waits_is_still_waited_for():
	var link = open_link(20.0)
	turn(link, "grass")
	link.say("prompt", "rain")
	turn(link, "grass")
	expect(drain(link, 21.0), ["...", "rain", "grass"])
	expect(is_ready(link, 21.0), false)
	expect(drain(link, 21.1), ["..."])
	expect(is_ready(link, 21.1), true)


func test_a_name_that_was_not_declared_is_waited_for_once():
	var link = open_link(20.0)
	link.post(1, 20.0, "crow 1")
	link.named(1, "crow")
	expect(is_ready(link, 20.0), false)
	expect(drain(link, 20.1), ["crow 1", "..."])
	expect(is_ready(link, 20.1), true)
	link.post(2, 20.1, "crow 2")
	link.named(2, "crow")
	expect(link.is_bank_ready(), true)
	link.receive({"type": "ack", "events": [1, 2]}, 20.2)
	expect(link._undeclared.size(), 0)


func test_a_server_that_was_restarted_is_told_all_before_it_is_believed():
	var link = open_link(20.0)
	turn(link, "grass")
	drain(link, 20.1)
	expect(is_ready(link, 20.1), true)
	link.disconnected()
	link.connected(21.0)
	drain(link, 21.0)
	link.receive(WELCOME, 21.0)
	expect(is_ready(link, 21.0), false)
	expect(drain(link, 21.1), ["grass", "..."])
	expect(is_ready(link, 21.1), true)
