# What Godot 3 calls otherwise than Godot 4 does. Everything else in core/ is the same text for
# both; addons/diegetic/core/platform.gd is this file for the other one.

const NUMBER = TYPE_REAL
const BYTES = TYPE_RAW_ARRAY


# The engine's monotonic clock.
static func usec():
	return OS.get_ticks_usec()


static func no_bytes():
	return PoolByteArray()


# The bytes from..to, without `to`.
static func part(bytes, from, to):
	return bytes.subarray(from, to - 1) if to > from else PoolByteArray()


# The end of an array, from `from` on.
static func tail(array, from):
	return array.slice(from, array.size() - 1) if from < array.size() else []


static func utf8(text):
	return text.to_utf8()


static func is_text(value):
	return typeof(value) == TYPE_STRING


static func is_list(value):
	return typeof(value) == TYPE_ARRAY or typeof(value) == TYPE_STRING_ARRAY


# float32 pairs, as they come over the wire, as Vector2s; decoded by the engine's own native code.
static func vectors(samples):
	var count = samples.size() >> 3
	var head = StreamPeerBuffer.new()
	head.put_32(TYPE_VECTOR2_ARRAY)
	head.put_32(count)
	var bytes = head.data_array
	bytes.append_array(samples)
	return bytes2var(bytes)


# The socket looks by itself.
static func refresh(_tcp):
	pass


# The browser has none for us.
static func has_threads():
	return OS.can_use_threads() and not OS.has_feature("HTML5")


# Have target.method(target) run on a thread, which keeps `target` alive; false if it cannot.
static func begin(thread, target, method):
	return thread.start(target, method, target) == OK


# Takes a mutex that nobody has; else false.
static func try_lock(mutex):
	return mutex.try_lock() == OK
