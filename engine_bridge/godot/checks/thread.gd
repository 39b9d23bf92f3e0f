# Who touches the socket, with a thread and without, against a real server that acknowledges:
# `--endpoint=tcp://HOST:PORT`. And what is left of the thread of a node that is freed.
#
# Prints one line of JSON: calls from the main thread and from others, events that arrived, signals.
extends SceneTree

const BridgeNode = preload("../addons/diegetic/core/bridge_node.gd")
const Listen = preload("listen.gd")
const Platform = preload("../addons/diegetic/core/platform.gd")
const SpiedClient = preload("spied_client.gd")

const TICKS = 60
const TICK = 10000  # µs
const PATIENCE = 20000000  # µs

var main_mutex = Mutex.new()
var signals = []  # whether each came on the main thread


func _init():
	main_mutex.lock()
	var threaded = play(true)
	var alone = play(false)
	var report = [threaded, alone, freed(), str(signals).to_lower()]
	print('{"threaded": %s, "alone": %s, "freed": %s, "signals": %s}' % report)
	main_mutex.unlock()
	quit()


func endpoint():
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--endpoint="):
			return argument.trim_prefix("--endpoint=")
	return ""


# Whether the main thread and others touched the socket, and how many events arrived.
func play(may_have_thread):
	var client = SpiedClient.new()
	client.main_mutex = main_mutex
	client._may_have_thread = may_have_thread
	client.open(endpoint(), {"events": ["shot"]})
	var pixels = Platform.no_bytes()
	pixels.resize(128 * 72 * 3)
	var until = Platform.usec() + PATIENCE
	for _tick in range(TICKS):
		client.push_frame(pixels, 128, 72)
		client.post_event("shot")
		client.poll()
		OS.delay_usec(TICK)
	while client.stats().events_acked < TICKS and Platform.usec() < until:
		client.poll()
		OS.delay_usec(TICK)
	client.close()
	var spy = client.spy
	return told([spy.from_main > 0, spy.from_others > 0, client.stats().events_acked])


# Whether a node that is freed outside of the tree, with its client, has left the socket closed and
# untouched, and nothing of its courier.
func freed():
	var node = BridgeNode.new()
	node.client = SpiedClient.new()
	node.client.main_mutex = main_mutex
	Listen.listen(node, "welcomed", self, "on_welcomed")
	node.start(endpoint(), {}, 0.03)
	var until = Platform.usec() + PATIENCE
	while signals.size() == 0 and Platform.usec() < until:
		node._process(0.0)
		OS.delay_usec(TICK)
	var spy = node.client.spy
	var courier = weakref(node.client._courier)
	node.free()
	var count = spy.from_others
	OS.delay_usec(5 * TICK)
	return told([spy.is_closed, spy.from_others == count, courier.get_ref() == null])


func told(values):
	return str(values).to_lower()


func on_welcomed(_welcome):
	var is_main = Platform.try_lock(main_mutex)
	signals.append(is_main)
	if is_main:
		main_mutex.unlock()
