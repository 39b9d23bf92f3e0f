# Lets the server see the game; a child of Diegetic.
#
# A Viewport of 128 x 72 shows the picture of `source`, scaled down by the GPU, and is read back
# `rate` times a second. It sees what `source` shows: draw the HUD elsewhere to hide it. On the
# server platform there is nothing to see, and nothing is done.
extends Node

const WIDTH = 128
const HEIGHT = 72

# The Viewport to look at; empty is the one in which this node is.
export(NodePath) var source = NodePath()
# Pictures a second.
export(float, 1.0, 30.0) var rate = 12.0

var _small
var _wait = 0.0


func _ready():
	if OS.get_name() == "Server":
		set_process(false)
		return
	var viewport = get_viewport() if source.is_empty() else get_node(source)
	var picture = TextureRect.new()
	picture.texture = viewport.get_texture()
	picture.expand = true
	picture.rect_size = Vector2(WIDTH, HEIGHT)
	_small = Viewport.new()
	_small.size = Vector2(WIDTH, HEIGHT)
	_small.usage = Viewport.USAGE_2D
	_small.render_target_update_mode = Viewport.UPDATE_DISABLED
	_small.add_child(picture)
	add_child(_small)


func _process(delta):
	_wait -= delta
	if _wait > 0.0:
		return
	_wait = max(0.0, _wait + 1.0 / rate)
	_small.render_target_update_mode = Viewport.UPDATE_ONCE
	if not VisualServer.is_connected("frame_post_draw", self, "_send"):
		VisualServer.connect("frame_post_draw", self, "_send", [], CONNECT_ONESHOT)


func _send():
	var image = _small.get_texture().get_data()
	image.convert(Image.FORMAT_RGB8)
	get_parent().push_frame(image.get_data(), WIDTH, HEIGHT)
