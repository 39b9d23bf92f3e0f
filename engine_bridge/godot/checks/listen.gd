# How a method hears a signal in Godot 4; godot3/checks/listen.gd is this file for the other one.


static func listen(node, title, target, method):
	node.connect(title, Callable(target, method))
