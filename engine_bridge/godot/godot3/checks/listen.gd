# How a method hears a signal in Godot 3; checks/listen.gd is this file for the other one.


static func listen(node, title, target, method):
	node.connect(title, target, method)
