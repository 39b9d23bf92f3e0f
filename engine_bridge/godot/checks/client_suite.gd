# A client by itself: no server anywhere, and arguments that are wrong.
extends "suite.gd"

const Client = preload("../addons/diegetic/core/client.gd")

const NOBODY = "tcp://127.0.0.1:9"  # no program listens there


func new_client(declared = {}):
	var client = Client.new()
	client.open(NOBODY, declared)
	return client


# The fields of the errors that `poll` gives out.
func wrong_fields(client):
	var fields = []
	for reply in client.poll():
		fields.append(reply.field)
	return fields


func test_without_a_server_every_call_does_nothing_but_remember():
	var client = new_client({"pcm": {"frames": 64}})
	for _tick in range(3):
		client.set_prompt("rain")
		client.set_layers(["ambience"])
		client.set_parameter("threat", 1)
		client.set_switch("surface", "stone")
		client.set_bus("beds", -3, true, 0.5)
		client.push_snapshot("pause")
		client.pop_snapshot("pause", 1)
		client.set_listener(Vector3(1, 2, 3))
		client.push_frame(bytes_of([1, 2, 3]), 1, 1)
		expect(client.read_pcm(7).size(), 7)
		client.post_event("shot", -3, Vector3(1, 0, 0), 0.5, client.now() + 1, "beds")
		expect(client.poll(), [])
	expect(client._link._kept.size(), 8 + 3, "8 states and 3 events")
	var stats = client.stats()
	expect(stats.events_waiting, 3)
	expect(stats.frames_replaced, 2)
	expect_true(not stats.connected and not stats.welcomed and stats.sent == 0, "nobody is there")
	client.close()
	client.set_prompt("wind")
	expect(client.poll(), [])


func test_a_gain_and_a_mute_both_count_and_a_snapshot_is_in_or_out():
	var client = new_client()
	client.set_bus("beds", -3)
	client.set_bus("beds", null, true)
	client.set_bus("beds", -6)
	client.push_snapshot("pause")
	client.pop_snapshot("pause")
	expect(client._link._kept.keys(), ["mute beds", "gain beds", "snapshot pause"])


func test_wrong_arguments_come_out_of_poll_as_errors():
	var client = new_client()
	var long_name = "n"
	while long_name.length() < 65:
		long_name += "n"
	client.set_prompt(7)
	client.set_prompt({"rain": 1, "": 1})
	client.set_prompt({"rain": 0})
	client.set_prompt({"a": 1, "b": 1, "c": 1, "d": 1})
	client.set_prompt("rain", 6)
	client.set_layers("ambience")
	client.set_layers(["voices"])
	client.set_parameter("", 1)
	client.set_parameter(long_name, 1)
	client.set_parameter("threat", "much")
	client.set_parameter("threat", sqrt(-1.0))
	client.set_parameter("threat", 1, -1)
	client.set_switch("surface", "")
	client.post_event(null)
	client.post_event("shot", 25)
	client.post_event("shot", 0, [1, 2])
	client.post_event("shot", 0, null, 2)
	client.post_event("shot", 0, null, 0, client.now() + 61)
	client.set_bus("beds")
	client.set_bus("beds", null, "yes")
	client.set_loudness(sqrt(-1.0))
	client.set_loudness(5)
	client.set_loudness(-200)
	client.push_snapshot("pause", 61)
	client.set_listener(Vector3(2e6, 0, 0))
	client.set_listener(Vector3(0, 0, 0), Vector3(0, 0, 0))
	client.set_listener(Vector3(0, 0, 0), Vector3(0, 1, 0))
	client.push_frame(bytes_of([1, 2]), 1, 1)
	client.push_frame(bytes_of([1, 2, 3]), 0, 1)
	client.push_frame(bytes_of([1, 2, 3]), 1, 1, "rgb25")
	client.push_frame(bytes_of([1, 2, 3]), 1, 1, "rgb24", 2)
	client.read_pcm(1)
	expect(wrong_fields(client), [
		"text", "blend", "weight", "blend", "guidance", "layers", "layers[0]", "name", "name",
		"value", "value", "ramp", "value", "name", "gain_db", "position", "occlusion", "time",
		"gain_db", "mute", "lufs", "lufs", "lufs", "fade", "position[0]", "forward", "up", "pixels",
		"width", "format", "stride", "pcm",
	])
	expect(client._link._kept.size(), 0)
	expect(client.errors, 32)


func test_the_same_mistake_is_logged_once_and_no_more_than_64_of_them():
	var client = new_client()
	for index in range(200):
		client.set_parameter("threat", 1, 99)
		client._refuse("field %d" % index, "for the log")
	expect(client._warned.size(), 64)
	expect(client.poll().size(), 256)


func test_declarations_and_endpoints_are_checked():
	for declared in [
		{"parameters": [{"name": ""}]},
		{"parameters": [{"name": "threat", "minimun": 0}]},
		{"event": ["shot"]},
		{"events": ["shot", {"name": "step", "variations": 17}]},
		{"switches": [{"name": "surface", "values": []}]},
		{"pcm": {"rate": 1}},
	]:
		var client = new_client(declared)
		expect(wrong_fields(client).size(), 1, str(declared))
	for endpoint in ["127.0.0.1:7776", "tcp://host", "tcp://:1", "tcp://host:0", "ipc:///tmp/a:1"]:
		var client = Client.new()
		client.open(endpoint)
		expect(wrong_fields(client), ["endpoint"], endpoint)


func test_two_runs_have_two_names():
	var first = new_client()._link._hello.instance
	expect(first.length(), 32)
	expect_true(first != new_client()._link._hello.instance, "the same")


func test_events_that_nobody_hears_are_given_up():
	var client = Client.new(0.0)
	client.post_event("shot")
	OS.delay_usec(1000)
	client.poll()
	expect(client.stats().events_given_up, 1)
