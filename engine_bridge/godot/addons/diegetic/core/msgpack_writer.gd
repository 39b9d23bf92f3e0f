# Values to MessagePack: everything in its shortest form, except that a float is always a float64.

const Platform = preload("platform.gd")

var _out = StreamPeerBuffer.new()
var _keys = {}  # packed, as they come again and again


func _init():
	_out.big_endian = true


func start():
	_out.clear()


func bytes():
	return _out.data_array


func whole(value):
	if value >= 0:
		if value < 128:
			_out.put_u8(value)
		elif value < 256:
			_out.put_u8(0xcc)
			_out.put_u8(value)
		elif value < 65536:
			_out.put_u8(0xcd)
			_out.put_u16(value)
		elif value < 4294967296:
			_out.put_u8(0xce)
			_out.put_u32(value)
		else:
			_out.put_u8(0xcf)
			_out.put_64(value)
	elif value >= -32:
		_out.put_8(value)
	elif value >= -128:
		_out.put_u8(0xd0)
		_out.put_8(value)
	elif value >= -32768:
		_out.put_u8(0xd1)
		_out.put_16(value)
	elif value >= -2147483648:
		_out.put_u8(0xd2)
		_out.put_32(value)
	else:
		_out.put_u8(0xd3)
		_out.put_64(value)


func number(value):
	_out.put_u8(0xcb)
	_out.put_double(value)


func flag(value):
	_out.put_u8(0xc3 if value else 0xc2)


func text(value):
	var letters = Platform.utf8(value)
	var size = letters.size()
	if size < 32:
		_out.put_u8(0xa0 | size)
	else:
		_sized(size, 0xd9, 0xda, 0xdb)
	if size > 0:
		_out.put_data(letters)


# A text of which there are few.
func key(value):
	var packed = _keys.get(value)
	if packed == null:
		packed = Platform.no_bytes()
		packed.append(0xa0 | value.length())
		packed.append_array(Platform.utf8(value))
		_keys[value] = packed
	_out.put_data(packed)


func binary(value):
	_sized(value.size(), 0xc4, 0xc5, 0xc6)
	if value.size() > 0:
		_out.put_data(value)


func list(count):
	if count < 16:
		_out.put_u8(0x90 | count)
	else:
		_sized(count, 0, 0xdc, 0xdd)


func dictionary(count):
	if count < 16:
		_out.put_u8(0x80 | count)
	else:
		_sized(count, 0, 0xde, 0xdf)


# The head of something `size` long; `small` is 0 where there is no form with one byte.
func _sized(size, small, middle, large):
	if size < 256 and small != 0:
		_out.put_u8(small)
		_out.put_u8(size)
	elif size < 65536:
		_out.put_u8(middle)
		_out.put_u16(size)
	else:
		_out.put_u8(large)
		_out.put_u32(size)
