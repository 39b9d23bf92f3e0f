# What Godot 4 calls otherwise than Godot 3 does. Everything else in core/ is the same text for
# both; godot3/addons/diegetic/core/platform.gd is this file for the other one.

const NUMBER = TYPE_FLOAT
const BYTES = TYPE_PACKED_BYTE_ARRAY


# The engine's monotonic clock.
static func usec():
	return Time.get_ticks_usec()


static func no_bytes():
	return PackedByteArray()


# The bytes from..to, without `to`.
static func part(bytes, from, to):
	return bytes.slice(from, to)


# The end of an array, from `from` on.
static func tail(array, from):
	return array.slice(from)


static func utf8(text):
	return text.to_utf8_buffer()


static func is_text(value):
	return typeof(value) == TYPE_STRING or typeof(value) == TYPE_STRING_NAME


static func is_list(value):
	return typeof(value) == TYPE_ARRAY or typeof(value) == TYPE_PACKED_STRING_ARRAY


# float32 pairs, as they come over the wire, as Vector2s; decoded by the engine's own native code.
static func vectors(samples):
	var count = samples.size() >> 3
	var head = StreamPeerBuffer.new()
	head.put_32(TYPE_PACKED_VECTOR2_ARRAY)
	head.put_32(count)
	var bytes = head.data_array
	bytes.append_array(samples)
	return bytes_to_var(bytes)


# Have the socket look at what has happened.
static func refresh(tcp):
	tcp.poll()


# The browser has none for us.
static func has_threads():
	return not OS.has_feature("web")


# Have target.method(target) run on a thread, which keeps `target` alive; false if it cannot.
static func begin(thread, target, method):
	return thread.start(Callable(target, method).bind(target)) == OK


# Takes a mutex that nobody has; else false.
static func try_lock(mutex):
	return mutex.try_lock()
