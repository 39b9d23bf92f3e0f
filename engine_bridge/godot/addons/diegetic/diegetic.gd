## Speaks to the sound server: say what should be heard, and forget it.
##
## Everything is a no-op without a server, and comes to be heard when there is one. Put a
## DiegeticVoice below it to hear the sound here instead of from the server's device, a
## DiegeticCapture to let the server see the game. To declare in code, set `declarations` before the
## node enters the tree, as the `_enter_tree` of its parent does, or call `start` again.
extends "core/bridge_node.gd"

## The server, as `diegetic serve` says it.
@export var endpoint: String = Client.ENDPOINT
## What should be heard from the start.
@export_multiline var prompt := ""
## What the game is going to use: "parameters", "switches", "events", "buses", "snapshots".
@export var declarations := {}
## Seconds of sound that are gathered before they are played: 0.03, or 0.1 over Wi-Fi.
@export_range(0.0, 1.0) var pcm_depth := 0.03


func _enter_tree() -> void:
	process_mode = PROCESS_MODE_ALWAYS  # a game that is paused still answers the server
	start(endpoint, declarations, pcm_depth)
	if prompt != "":
		set_prompt(prompt)
