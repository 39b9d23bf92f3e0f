# A game that ends while its node is in the tree and talks: `--endpoint=tcp://HOST:PORT`.
#
# Prints one line of JSON: how often it was welcomed before.
extends SceneTree

const Diegetic = preload("../addons/diegetic/diegetic.gd")
const Listen = preload("listen.gd")
const Voice = preload("../addons/diegetic/diegetic_voice.gd")

var node = Diegetic.new()


func _initialize():
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--endpoint="):
			node.endpoint = argument.trim_prefix("--endpoint=")
	node.prompt = "rain on a tin roof"
	node.add_child(Voice.new())
	Listen.listen(node, "welcomed", self, "on_welcomed")
	root.add_child(node)


func on_welcomed(_welcome):
	print('{"welcomes": 1}')
	quit()
