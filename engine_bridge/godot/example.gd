## A walk through three places: keys 1, 2, 3 go there, a click is a shot at that place, the mouse's
## height is the threat. Steps are heard where the walker is.
extends Node2D

const PLACES = [
	{"prompt": "rain on leaves, distant thunder", "ground": "grass", "colour": Color("1d3b2a")},
	{"prompt": "wind over an empty stone courtyard", "ground": "stone", "colour": Color("3a3a46")},
	{"prompt": "humming machinery in a dark corridor", "ground": "metal", "colour": Color("3d2a1f")},
]
const METRES = 0.02  # a pixel
const STEP = 0.55  # seconds

var _place := -1
var _walker := Vector2(480, 330)
var _since_step := 0.0
var _state := "no server yet: run `diegetic serve`"

@onready var _diegetic := $Diegetic
@onready var _text: Label = $Text


func _ready() -> void:
	_diegetic.welcomed.connect(func(welcome): _state = "%d ms to the ear" % welcome.latency_ms)
	_diegetic.lost.connect(func(): _state = "the server has gone")
	_diegetic.error_received.connect(func(_code, field, message): push_warning(field, ": ", message))
	_diegetic.set_listener(Vector3.ZERO)
	_go_to(0)


func _process(delta: float) -> void:
	var angle := Time.get_ticks_msec() / 4000.0
	_walker = Vector2(480, 330) + Vector2(300 * cos(angle), 100 * sin(2 * angle))
	_since_step += delta
	if _since_step > STEP:
		_since_step -= STEP
		_diegetic.post_event("footstep", -6.0, _at(_walker))
	_diegetic.set_parameter("threat", clampf(1.0 - get_global_mouse_position().y / 540.0, 0.0, 1.0))
	_text.text = "1, 2, 3: %s\nclick: a shot    mouse up: threat\n%s" % [PLACES[_place].prompt, _state]
	queue_redraw()


func _draw() -> void:
	draw_rect(Rect2(0, 0, 960, 540), PLACES[_place].colour)
	for index in 40:
		var root := Vector2(index * 25, 540)
		var tip := Vector2(index * 25 + 8, 430 + (index * 37) % 60)
		draw_line(root, tip, Color(1, 1, 1, 0.15), 3)
	draw_circle(_walker, 14, Color("f2d16b"))


func _unhandled_input(event: InputEvent) -> void:
	if event is InputEventMouseButton and event.pressed:
		_diegetic.post_event("shot", 0.0, _at(event.position))
	elif event is InputEventKey and event.pressed and not event.echo:
		var number: int = event.keycode - KEY_1
		if number >= 0 and number < PLACES.size():
			_go_to(number)


func _go_to(place: int) -> void:
	_place = place
	_diegetic.set_switch("ground", PLACES[place].ground)
	_diegetic.set_prompt(PLACES[place].prompt, null, 2.0)


## Metres from the middle of the picture: x to the right, what is lower is nearer.
func _at(point: Vector2) -> Vector3:
	return Vector3((point.x - 480) * METRES, 0, (point.y - 540) * METRES)
