# The scripted game that every client plays against a real server: `--endpoint=tcp://HOST:PORT`.
#
# Prints one line of JSON at its end; exit code 1, and why, if something did not come within 20 s.
extends SceneTree

const Client = preload("../addons/diegetic/core/client.gd")

const DECLARED = {
	"parameters": [{"name": "threat", "minimum": 0.0, "maximum": 1.0}],
	"switches": [{"name": "surface", "values": ["grass", "stone"]}],
	"events": ["shot", {"name": "footstep", "text": "footstep on {surface}", "variations": 2}],
	"buses": [{"name": "voices", "parent": "events"}],
	"snapshots": [{"name": "pause", "gains_db": {"beds": -12.0}}],
	"pcm": {"rate": 48000, "frames": 512},
}
const EVENTS = 1001
const PIECES = 20
const PATIENCE = 20.0  # seconds

var client = Client.new()
var is_loud = false


func _init():
	client.open(endpoint(), DECLARED)
	var is_done = play()
	if is_done:
		var stats = client.stats()
		print('{"acked": %d, "given_up": %d, "reconnects": %d, "pcm_nonzero": %s}' % [
			stats.events_acked, stats.events_given_up, stats.reconnects, str(is_loud).to_lower()
		])
	client.close()
	quit(0 if is_done else 1)


func endpoint():
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--endpoint="):
			return argument.trim_prefix("--endpoint=")
	return Client.ENDPOINT


func play():
	if not wait_for("is_welcomed"):
		return false
	client.set_prompt("rain on a tin roof", 3)
	client.set_layers(["ambience"])
	for k in range(1, 101):
		play_tick(k)
		tick()
	client.set_switch("surface", "stone")
	client.post_event("footstep")
	client.set_bus("voices", -6, null, 0.5)
	client.push_snapshot("pause", 0.1)
	client.pop_snapshot("pause")
	client.set_loudness(-18)
	client.set_listener(Vector3(1, 2, 3))
	client.set_prompt({"rain": 3, "wind": 1}, null, 2)
	return wait_for("is_acked") and wait_for("is_bank_ready") and wait_for("is_sounding")


func play_tick(k):
	client.set_parameter("threat", k / 100.0)
	var pixels = StreamPeerBuffer.new()
	for _index in range(8 * 8 * 3):
		pixels.put_u8(k)
	client.push_frame(pixels.data_array, 8, 8)
	for j in range(10):
		if j % 2 == 0:
			client.post_event("shot", -(k % 20), Vector3(k, 0, -j), 0.25)
		else:
			client.post_event("shot", -(k % 20))


func tick():
	for reply in client.poll():
		if reply.type == "error":
			printerr(reply)
	for sample in client.read_pcm(480):
		is_loud = is_loud or sample.x != 0
	OS.delay_usec(10000)


func wait_for(condition):
	var until = client.now() + PATIENCE
	while not call(condition):
		if client.now() > until:
			printerr("waited in vain: %s, %s" % [condition, client.stats()])
			return false
		tick()
	return true


func is_welcomed():
	return client.is_welcomed()


func is_acked():
	return client.stats().events_acked == EVENTS


func is_bank_ready():
	return client.is_bank_ready()


func is_sounding():
	return client.pcm_stats().pieces >= PIECES
