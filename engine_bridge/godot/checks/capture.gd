# What DiegeticCapture sees of a picture whose corners are red, green and blue. Needs a screen.
#
# Prints one line of JSON: the colours of the first pixel, the one at the top right, and the last.
extends SceneTree

const Capture = preload("../addons/diegetic/diegetic_capture.gd")

const COLOURS = [Color(1, 0, 0), Color(0, 1, 0), Color(0, 0, 1)]
const PLACES = [Vector2(0, 0), Vector2(320, 0), Vector2(0, 180)]
const FRAMES = 600  # after which nothing will come


# Stands for Diegetic.
class Parent:
	extends Node

	var pixels

	func push_frame(new_pixels, _width, _height):
		pixels = new_pixels


var parent = Parent.new()
var frames = 0


func _initialize():
	root.size = Vector2(640, 360)
	for index in range(COLOURS.size()):
		var area = Polygon2D.new()
		area.color = COLOURS[index]
		area.position = PLACES[index]
		area.polygon = [Vector2(0, 0), Vector2(4000, 0), Vector2(4000, 4000), Vector2(0, 4000)]
		root.add_child(area)
	parent.add_child(Capture.new())
	root.add_child(parent)


func _process(_delta):
	frames += 1
	if is_drawn():
		var last = parent.pixels.size() - 3
		print('{"first": %s, "right": %s, "last": %s}' % [colour(0), colour(127 * 3), colour(last)])
	if is_drawn() or frames > FRAMES:
		quit()
	return false


# Godot 3's name of it.
func _idle(delta):
	return _process(delta)


# The first picture may come before anything was drawn.
func is_drawn():
	return parent.pixels != null and parent.pixels[0] == 255


func colour(at):
	return str([parent.pixels[at], parent.pixels[at + 1], parent.pixels[at + 2]])
