# The nodes in a real tree against a real server: `--endpoint=tcp://HOST:PORT`.
#
# Plays until there is sound on the master bus, an event has arrived, and the server has told its
# status; then the node leaves the tree. Prints one line of JSON: how often each signal came.
extends SceneTree

const Capture = preload("../addons/diegetic/diegetic_capture.gd")
const Diegetic = preload("../addons/diegetic/diegetic.gd")
const Listen = preload("listen.gd")
const Platform = preload("../addons/diegetic/core/platform.gd")
const Voice = preload("../addons/diegetic/diegetic_voice.gd")

const AUDIBLE = -60.0  # dB
const PATIENCE = 60000000  # µs

var node = Diegetic.new()
var welcomes = 0
var losses = 0
var wrong = ""
var statuses = 0
var full_banks = 0
var loudest = -200.0  # dB, on the master bus
var began = Platform.usec()


func _initialize():
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--endpoint="):
			node.endpoint = argument.trim_prefix("--endpoint=")
	node.prompt = "rain on a tin roof"
	node.declarations = {"events": ["shot"]}
	node.add_child(Voice.new())
	node.add_child(Capture.new())
	Listen.listen(node, "welcomed", self, "on_welcomed")
	Listen.listen(node, "lost", self, "on_lost")
	Listen.listen(node, "error_received", self, "on_error")
	Listen.listen(node, "status_received", self, "on_status")
	Listen.listen(node, "bank_ready", self, "on_bank_ready")
	root.add_child(node)
	node.post_event("shot")
	node.set_parameter("threat", "much")


# Godot 4's name of it, and Godot 3's.
func _process(_delta):
	if node != null:
		look()
	return false


func _idle(delta):
	return _process(delta)


func look():
	loudest = max(loudest, AudioServer.get_bus_peak_volume_left_db(0, 0))
	var is_heard = loudest > AUDIBLE and statuses > 0 and node.stats().events_acked == 1
	var is_done = is_heard and full_banks == 1 and node.is_bank_ready()
	if not is_done and Platform.usec() - began < PATIENCE:
		return
	root.remove_child(node)
	node.free()
	node = null
	var report = [welcomes, losses, wrong, int(is_done)]
	print('{"welcomes": %d, "losses": %d, "wrong": "%s", "done": %d}' % report)
	quit()


func on_welcomed(_welcome):
	welcomes += 1


func on_lost():
	losses += 1


func on_error(_code, field, _message):
	wrong += field


func on_bank_ready():
	full_banks += 1


func on_status(_status):
	statuses += 1
