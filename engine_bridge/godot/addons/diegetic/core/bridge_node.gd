# What the node Diegetic does in every Godot: it polls a Client once a frame, and tells of it by
# signals. A child that has `pcm_spec` (DiegeticVoice) has the sound sent here.
#
# It is the last to be processed, so that what the game says in a frame goes out in that very frame.
extends Node

signal welcomed(welcome)  # a server listens: its "session", "rate", "latency_ms", "pcm"
signal bank_ready  # all sounds of declared events are there, also those that switches now want
signal lost  # it is gone; the client tries on by itself
signal error_received(code, field, message)  # the server's, and arguments that were wrong
signal status_received(status)  # once a second, counts as in PROTOCOL.md

const Client = preload("client.gd")

var client = Client.new()

var _was_welcomed = false
var _was_bank_ready = false


func _init():
	process_priority = 1000


# Go to the server at `endpoint`, and declare; see the Client's `open`.
func start(endpoint, declared, pcm_depth):
	stop()
	var all = declared.duplicate()
	for child in get_children():
		if child.has_method("pcm_spec"):
			all["pcm"] = child.pcm_spec()
	client.open(endpoint, all, pcm_depth)


# Say goodbye.
func stop():
	client.close()
	_tell_if_lost()


func set_prompt(prompt, guidance = null, ramp = 0.0):
	client.set_prompt(prompt, guidance, ramp)


func set_layers(layers):
	client.set_layers(layers)


func set_parameter(parameter, value, ramp = 0.0):
	client.set_parameter(parameter, value, ramp)


func set_switch(switch, value):
	client.set_switch(switch, value)


func post_event(event, gain_db = 0.0, position = null, occlusion = 0.0, at = null, bus = ""):
	return client.post_event(event, gain_db, position, occlusion, at, bus)


func set_bus(bus, gain_db = null, mute = null, fade = 0.0):
	client.set_bus(bus, gain_db, mute, fade)


func push_snapshot(snapshot, fade = 0.0):
	client.push_snapshot(snapshot, fade)


func pop_snapshot(snapshot, fade = 0.0):
	client.pop_snapshot(snapshot, fade)


func set_loudness(lufs):
	client.set_loudness(lufs)


func set_listener(position, forward = Vector3(0, 0, -1), up = Vector3(0, 1, 0)):
	client.set_listener(position, forward, up)


func push_frame(pixels, width, height, format = "rgb24", stride = 0, origin = "top"):
	client.push_frame(pixels, width, height, format, stride, origin)


func read_pcm(frames):
	return client.read_pcm(frames)


func is_bank_ready():
	return client.is_bank_ready()


func stats():
	return client.stats()


func _process(_delta):
	for reply in client.poll():
		match reply.type:
			"welcome":
				emit_signal("welcomed", reply)
			"error":
				emit_signal("error_received", reply.code, reply.field, reply.message)
			"status":
				emit_signal("status_received", reply)
	_tell_if_bank_is_ready()
	_tell_if_lost()


func _exit_tree():
	stop()


func _tell_if_bank_is_ready():
	var is_ready = client.is_bank_ready()
	if is_ready and not _was_bank_ready:
		emit_signal("bank_ready")
	_was_bank_ready = is_ready


func _tell_if_lost():
	if _was_welcomed and not client.is_welcomed():
		emit_signal("lost")
	_was_welcomed = client.is_welcomed()
