# Plays the server's sound inside the game; a child of Diegetic. The same text for every Godot.
#
#   Diegetic's jitter buffer --read once a frame--> |== AHEAD ==| --> the audio bus
extends AudioStreamPlayer

const PIECE = 512  # frames that the server sends at once

# Seconds that wait for the device: more than the longest frame of a game that runs smoothly.
var ahead = 0.08

var _playback
var _room = 0  # of the generator while nothing waits in it


func _init():
	process_priority = 1001  # when Diegetic has taken in what came


# What Diegetic has to ask for.
func pcm_spec():
	return {"rate": int(AudioServer.get_mix_rate()), "frames": PIECE}


func _ready():
	stream = AudioStreamGenerator.new()
	stream.mix_rate = AudioServer.get_mix_rate()
	stream.buffer_length = 2.0 * ahead
	_begin()


func _process(_delta):
	if not playing:
		_begin()
	var free = _playback.get_frames_available()
	var missing = int(ahead * stream.mix_rate) - (_room - free)
	if missing > 0:
		_playback.push_buffer(get_parent().read_pcm(int(min(missing, free))))


func _begin():
	play()
	_playback = get_stream_playback()
	_room = _playback.get_frames_available()
