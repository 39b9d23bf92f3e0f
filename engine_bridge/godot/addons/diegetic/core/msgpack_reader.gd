# MessagePack to values. What comes from the network is not trusted: every length is checked first.

const Platform = preload("platform.gd")

const DEEPEST = 64

var _in = StreamPeerBuffer.new()
var _size = 0
var _is_good = true


func _init():
	_in.big_endian = true


# The map that `bytes` are, or null if they are none.
func read(bytes):
	_in.data_array = bytes
	_in.seek(0)
	_size = bytes.size()
	_is_good = true
	var value = _value(0)
	if _is_good and typeof(value) == TYPE_DICTIONARY and _in.get_position() == _size:
		return value
	return null


func _value(depth):
	var head = _unsigned(1)
	if head < 0x80:
		return head
	if head < 0x90:
		return _dictionary(head & 15, depth)
	if head < 0xa0:
		return _list(head & 15, depth)
	if head < 0xc0:
		return _text(head & 31)
	if head >= 0xe0:
		return head - 256
	if head == 0xc0:
		return null
	if head == 0xc2 or head == 0xc3:
		return head == 0xc3
	if head >= 0xc4 and head <= 0xc6:
		return _bytes(_unsigned(1 << (head - 0xc4)))
	if head >= 0xc7 and head <= 0xc9:
		return _extension(_unsigned(1 << (head - 0xc7)))
	if head == 0xca:
		return _in.get_float() if _has(4) else 0.0
	if head == 0xcb:
		return _in.get_double() if _has(8) else 0.0
	if head >= 0xcc and head <= 0xcf:
		return _unsigned(1 << (head - 0xcc))
	if head >= 0xd0 and head <= 0xd3:
		return _signed(1 << (head - 0xd0))
	if head >= 0xd4 and head <= 0xd8:
		return _extension(1 << (head - 0xd4))
	if head >= 0xd9 and head <= 0xdb:
		return _text(_unsigned(1 << (head - 0xd9)))
	if head == 0xdc or head == 0xdd:
		return _list(_unsigned(2 << (head - 0xdc)), depth)
	if head == 0xde or head == 0xdf:
		return _dictionary(_unsigned(2 << (head - 0xde)), depth)
	_is_good = false  # 0xc1 is never used
	return null


func _has(count):
	_is_good = _is_good and count >= 0 and count <= _size - _in.get_position()
	return _is_good


func _unsigned(count):
	if not _has(count):
		return 0
	match count:
		1:
			return _in.get_u8()
		2:
			return _in.get_u16()
		4:
			return _in.get_u32()
	return _in.get_64()


func _signed(count):
	if not _has(count):
		return 0
	match count:
		1:
			return _in.get_8()
		2:
			return _in.get_16()
		4:
			return _in.get_32()
	return _in.get_64()


func _bytes(count):
	if not _has(count) or count == 0:
		return Platform.no_bytes()
	return _in.get_data(count)[1]


func _text(count):
	return _bytes(count).get_string_from_utf8()


# Nothing here has a meaning for us.
func _extension(count):
	_bytes(count + 1)
	return null


func _list(count, depth):
	var values = []
	_is_good = _is_good and depth < DEEPEST
	if _has(count):
		for _index in range(count):
			if not _is_good:
				break
			values.append(_value(depth + 1))
	return values


func _dictionary(count, depth):
	var values = {}
	_is_good = _is_good and depth < DEEPEST
	if _has(count):
		for _index in range(count):
			if not _is_good:
				break
			var key = _value(depth + 1)
			values[key] = _value(depth + 1)
	return values
