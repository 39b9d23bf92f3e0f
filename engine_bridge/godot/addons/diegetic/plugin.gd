@tool
extends EditorPlugin

const NODES = {
	"Diegetic": ["Node", preload("diegetic.gd")],
	"DiegeticCapture": ["Node", preload("diegetic_capture.gd")],
	"DiegeticVoice": ["AudioStreamPlayer", preload("diegetic_voice.gd")],
}


func _enter_tree() -> void:
	var theme := EditorInterface.get_editor_theme()
	for title: String in NODES:
		var icon := theme.get_icon("AudioStreamPlayer", "EditorIcons")
		add_custom_type(title, NODES[title][0], NODES[title][1], icon)


func _exit_tree() -> void:
	for title: String in NODES:
		remove_custom_type(title)
