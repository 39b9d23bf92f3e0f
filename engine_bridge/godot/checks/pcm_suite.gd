# Sound into the engine: whole and in order, faded where it begins, ends or is cut.
extends "suite.gd"

const Pcm = preload("../addons/diegetic/core/pcm.gd")

const FRAMES = 480  # of a piece
const FADE = 192


func new_buffer():
	return Pcm.new({"rate": 48000, "frames": FRAMES}, 0.03)


func piece(value, frames = FRAMES):
	var samples = StreamPeerBuffer.new()
	for _index in range(frames):
		samples.put_float(value)
		samples.put_float(-value)
	return samples.data_array


func left_of(sound):
	var left = []
	for sample in sound:
		left.append(sample.x)
	return left


func largest_step(left):
	var largest = abs(left[0])
	for index in range(1, left.size()):
		largest = max(largest, abs(left[index] - left[index - 1]))
	return largest


func test_what_is_read_is_what_was_sent():
	var buffer = new_buffer()
	var sent = []
	var heard = []
	for number in range(8):
		var samples = StreamPeerBuffer.new()
		for index in range(FRAMES):
			var value = (number * FRAMES + index) / 4096.0
			samples.put_float(value)
			samples.put_float(0.5)
			sent.append(value)
		buffer.push(number, samples.data_array)
		if number >= 2:  # three are the depth
			heard += left_of(buffer.read(479))  # no multiple of anything
	expect(heard.size(), 6 * 479)
	expect(heard[0], 0.0)
	for index in range(FADE, heard.size()):
		if heard[index] != sent[index]:
			expect(heard[index], sent[index], "frame %d" % index)
			return
	expect(buffer.lost + buffer.underruns + buffer.skipped, 0)


func test_nothing_is_read_before_there_is_enough_to_go_on():
	var buffer = new_buffer()
	for number in range(2):
		buffer.push(number, piece(1.0))
		expect(left_of(buffer.read(FRAMES)).max(), 0.0)
	buffer.push(2, piece(1.0))
	var sound = buffer.read(FRAMES)
	expect(sound.size(), FRAMES)
	expect(sound[FRAMES - 1], Vector2(1.0, -1.0))
	expect(buffer.underruns, 0)


func test_running_dry_fades_out_and_coming_back_fades_in():
	for frames in [64, 480, 1000]:
		var buffer = new_buffer()
		var heard = []
		for _round in range(2):
			for number in range(4):
				buffer.push(number, piece(1.0))
			for _read in range(int(4.0 * FRAMES / frames) + 8):
				heard += left_of(buffer.read(frames))
		expect_true(largest_step(heard) < 1.02 / FADE, "a click of %s" % largest_step(heard))
		expect(heard.max(), 1.0)
		expect(heard[heard.size() - 1], 0.0)
		expect(buffer.underruns, 2)
		expect(buffer.waiting(), 0)


func test_what_piles_up_is_left_out_without_a_click():
	for frames in [64, 480]:
		var buffer = new_buffer()
		var heard = []
		for flood in [[3, 1.0], [20, 1.0], [20, -0.5]]:
			for number in range(flood[0]):
				buffer.push(number, piece(flood[1]))
			for _read in range(2):
				heard += left_of(buffer.read(frames))
			if flood[0] == 20:
				expect(buffer.waiting(), 3 * FRAMES - 2 * frames)
		expect_true(largest_step(heard) < 3.0 / FADE, "a click of %s" % largest_step(heard))
		expect_true(buffer.skipped > 0.8 * 40 * FRAMES, "only %d left out" % buffer.skipped)
		expect(buffer.underruns, 0)


func test_pieces_that_never_came_are_counted():
	var buffer = new_buffer()
	for number in [0, 1, 4, 5, 0]:
		buffer.push(number, piece(1.0))
	expect(buffer.lost, 2)
	expect(buffer.pieces, 5)
