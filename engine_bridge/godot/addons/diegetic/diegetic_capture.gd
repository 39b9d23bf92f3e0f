## Lets the server see the game; a child of Diegetic.
##
## A SubViewport of 128 x 72 shows the picture of `source`, scaled down by the GPU, and is read back
## `rate` times a second. It sees what `source` shows: draw the HUD elsewhere to hide it. Without a
## screen (`--headless`) there is nothing to see, and nothing is done.
extends Node

const WIDTH = 128
const HEIGHT = 72

## The Viewport to look at; empty is the one in which this node is.
@export_node_path("Viewport") var source := NodePath()
## Pictures a second.
@export_range(1.0, 30.0) var rate := 12.0

var _small: SubViewport
var _wait := 0.0


func _ready() -> void:
	if DisplayServer.get_name() == "headless":
		set_process(false)
		return
	var viewport: Viewport = get_viewport() if source.is_empty() else get_node(source)
	var picture := TextureRect.new()
	picture.texture = viewport.get_texture()
	picture.expand_mode = TextureRect.EXPAND_IGNORE_SIZE
	picture.size = Vector2(WIDTH, HEIGHT)
	_small = SubViewport.new()
	_small.size = Vector2i(WIDTH, HEIGHT)
	_small.disable_3d = true
	_small.render_target_update_mode = SubViewport.UPDATE_DISABLED
	_small.add_child(picture)
	add_child(_small)


func _process(delta: float) -> void:
	_wait -= delta
	if _wait > 0.0:
		return
	_wait = maxf(0.0, _wait + 1.0 / rate)
	_small.render_target_update_mode = SubViewport.UPDATE_ONCE
	if not RenderingServer.frame_post_draw.is_connected(_send):
		RenderingServer.frame_post_draw.connect(_send, CONNECT_ONE_SHOT)


func _send() -> void:
	var image := _small.get_texture().get_image()
	image.convert(Image.FORMAT_RGB8)
	get_parent().push_frame(image.get_data(), WIDTH, HEIGHT)
