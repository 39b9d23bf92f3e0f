# What the client costs the game's thread, at 60 Hz: `--endpoint=tcp://HOST:PORT`.
#
# Each tick says a frame of 128 x 72, 5 parameters and 2 events, and polls. Prints one line of JSON;
# times are of one tick.
extends SceneTree

const Client = preload("../addons/diegetic/core/client.gd")
const Platform = preload("../addons/diegetic/core/platform.gd")

const TICKS = 300
const TICK = 16667  # µs
const PATIENCE = 20000000  # µs
const PARAMETERS = ["threat", "health", "speed", "wind", "light"]

var client = Client.new()
var pixels = Platform.no_bytes()


func _init():
	var declared = []
	for parameter in PARAMETERS:
		declared.append({"name": parameter})
	client.open(endpoint(), {"parameters": declared, "events": ["shot"]})
	var is_done = wait_while("is_waiting")
	pixels.resize(128 * 72 * 3)
	var spent = []
	for number in range(TICKS):
		var begin = Platform.usec()
		play_tick(number)
		var end = Platform.usec()
		spent.append(end - begin)
		OS.delay_usec(int(max(0, TICK - end + begin)))
	is_done = is_done and wait_while("is_unacked")
	client.close()
	spent.sort()
	var report = [TICKS]
	for share in [0.5, 0.95, 0.99, 1.0]:
		report.append(spent[int(share * (TICKS - 1))] / 1000.0)
	var line = '{"ticks": %d, "p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}'
	print(line % report)
	quit(0 if is_done else 1)


func endpoint():
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--endpoint="):
			return argument.trim_prefix("--endpoint=")
	return Client.ENDPOINT


func play_tick(number):
	client.push_frame(pixels, 128, 72)
	for parameter in PARAMETERS:
		client.set_parameter(parameter, number / float(TICKS))
	client.post_event("shot", -3, Vector3(number, 0, -2), 0.25)
	client.post_event("shot")
	client.poll()


func is_waiting():
	return not client.is_welcomed()


func is_unacked():
	return client.stats().events_waiting > 0


# Polls while `condition` holds; false if that is too long.
func wait_while(condition):
	var until = Platform.usec() + PATIENCE
	while call(condition) and Platform.usec() < until:
		client.poll()
		OS.delay_usec(10000)
	return not call(condition)
