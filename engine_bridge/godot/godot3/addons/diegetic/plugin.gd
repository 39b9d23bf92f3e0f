tool
extends EditorPlugin

const NODES = {
	"Diegetic": ["Node", preload("diegetic.gd")],
	"DiegeticCapture": ["Node", preload("diegetic_capture.gd")],
	"DiegeticVoice": ["AudioStreamPlayer", preload("diegetic_voice.gd")],
}


func _enter_tree():
	var base = get_editor_interface().get_base_control()
	for title in NODES:
		var icon = base.get_icon("AudioStreamPlayer", "EditorIcons")
		add_custom_type(title, NODES[title][0], NODES[title][1], icon)


func _exit_tree():
	for title in NODES:
		remove_custom_type(title)
