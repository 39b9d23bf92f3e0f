# The sound on its way into the engine: a jitter buffer.
#
#   the network --push--> |=== depth ===| --read--> the engine's player
#
# Pieces come at the pace of the server's clock and are read at the pace of the engine's device.
# What comes too late leaves a gap; what piles up, as the clocks drift apart, is left out. Both are
# faded and counted. A frame is a left and a right sample, 8 bytes.

const Platform = preload("platform.gd")

const FADE = 0.004  # seconds
const FRAME = 8  # bytes

var pieces = 0  # that came
var lost = 0  # pieces that never came
var underruns = 0  # times that there was not enough to read
var skipped = 0  # frames left out because too many were waiting

var _queue = []
var _waiting = 0
var _depth
var _most
var _fade
var _is_flowing = false
var _risen = 0  # frames since the sound began: it fades in
var _falling = []  # what is still fading out
var _last = Vector2(0, 0)
var _expected = 0


# `spec`: "rate" and "frames" as asked for. `depth`: seconds that are gathered before the first is
# read, and again after an underrun.
func _init(spec, depth):
	var rate = spec.get("rate", 48000)
	var frames = spec.get("frames", 512)
	_depth = int(max(frames, round(depth * rate)))
	_most = 2 * (_depth + frames)
	_fade = int(round(FADE * rate))


# Frames that can be read.
func waiting():
	return _waiting


# Take in a piece; a number that is too low begins another stream.
func push(number, samples):
	lost += int(max(0, number - _expected))
	_expected = number + 1
	pieces += 1
	_queue.append(samples)
	_waiting += samples.size() >> 3


# The next `frames` of sound as Vector2s; silence while there is none.
func read(frames):
	if not _is_flowing and _waiting >= _depth:
		_is_flowing = true
		_risen = 0
	var falling = _falling
	_falling = []
	var skip = []
	if _is_flowing and _waiting > _most:
		skip = _skip()
	var sound = _rise(Platform.vectors(_take(frames if _is_flowing else 0)))
	var short = frames - sound.size()
	sound.resize(frames)
	sound = _fall(_fall(sound, 0, falling), 0, skip)
	if _is_flowing and short > 0:
		underruns += 1
		_is_flowing = false
		var end = sound[frames - short - 1] if short < frames else _last
		var silence = []
		for _index in range(_fade):
			silence.append(end)
		sound = _fall(sound, frames - short, _faded(silence))
	if frames > 0:
		_last = sound[frames - 1]
	return sound


# Leave out what is too much; what would have been heard next, fading out.
func _skip():
	skipped += _waiting - _depth
	var level = min(1.0, float(_risen) / _fade)
	var samples = []
	for sample in Platform.vectors(_take(_fade)):
		samples.append(sample * level)
	_take(_waiting - _depth)
	_risen = 0
	return _faded(samples)


# The bytes of what comes next, at most `frames`.
func _take(frames):
	var taken = Platform.no_bytes()
	while frames > 0 and _queue.size() > 0:
		var piece = _queue.pop_front()
		var size = frames * FRAME
		if piece.size() > size:
			_queue.push_front(Platform.part(piece, size, piece.size()))
			piece = Platform.part(piece, 0, size)
		taken.append_array(piece)
		frames -= piece.size() >> 3
		_waiting -= piece.size() >> 3
	return taken


# Fade in what comes after silence.
func _rise(sound):
	for index in range(int(clamp(_fade - _risen, 0, sound.size()))):
		sound[index] *= float(_risen + index) / _fade
	_risen += sound.size()
	return sound


func _faded(samples):
	for index in range(samples.size()):
		samples[index] *= 1.0 - index / max(1.0, samples.size() - 1.0)
	return samples


# Add what is fading out from frame `at` on, and keep what goes beyond the end.
func _fall(sound, at, falling):
	var now = int(min(sound.size() - at, falling.size()))
	for index in range(now):
		sound[at + index] += falling[index]
	for index in range(now, falling.size()):
		if index - now < _falling.size():
			_falling[index - now] += falling[index]
		else:
			_falling.append(falling[index])
	return sound
