# Goes through the golden vectors, which the test has written into vectors.gd as a Dictionary.
#
# Prints one line of JSON: {"vectors": N, "wrong": ["name: why", ...]}.
extends SceneTree

const Messages = preload("../addons/diegetic/core/messages.gd")
const Reader = preload("../addons/diegetic/core/msgpack_reader.gd")
const Vectors = preload("vectors.gd")

var messages = Messages.new()
var reader = Reader.new()
var wrong = []


func _init():
	var vectors = Vectors.new().all()
	for vector in vectors:
		if vector.to == "engine":
			check_decoding(vector)
		elif vector.exact:
			check_encoding(vector)
		check_reading(vector)
	print('{"vectors": %d, "wrong": %s}' % [vectors.size(), to_json_text(wrong)])
	quit()


func check_encoding(vector):
	var packed = messages.pack(plain(vector.message))
	if packed == null:
		wrong.append("%s: %s: %s" % [vector.name, messages.field, messages.why])
	elif packed.hex_encode() != vector.bytes:
		wrong.append("%s: made %s" % [vector.name, packed.hex_encode().left(200)])


func check_decoding(vector):
	var message = messages.unpack(bytes_of(vector.bytes))
	if typeof(message) != TYPE_DICTIONARY or not is_same_value(message, plain(vector.message)):
		wrong.append("%s: read %s" % [vector.name, str(message).left(200)])


# Whatever it is encoded like, each field that stands in it has its meaning.
func check_reading(vector):
	var read = reader.read(bytes_of(vector.bytes))
	var message = plain(vector.message)
	if typeof(read) != TYPE_DICTIONARY or not message.has_all(read.keys()) and vector.exact:
		wrong.append("%s: read as %s" % [vector.name, str(read).left(200)])
		return
	for field in read:
		if message.has(field) and not is_same_value(read[field], message[field]):
			wrong.append("%s: %s read as %s" % [vector.name, field, str(read[field]).left(200)])
	if vector.name.ends_with("defaults-given") and not is_packed_alike(read, message):
		wrong.append("%s: defaults were not left out" % vector.name)


func is_packed_alike(message, other):
	var packed = messages.pack(message)
	return packed != null and packed.hex_encode() == messages.pack(other).hex_encode()


# Binary fields stand as {"bytes": hex}.
func plain(value):
	match typeof(value):
		TYPE_DICTIONARY:
			if value.has("bytes"):
				return bytes_of(value.bytes)
			var fields = {}
			for key in value:
				fields[key] = plain(value[key])
			return fields
		TYPE_ARRAY:
			var items = []
			for item in value:
				items.append(plain(item))
			return items
	return value


func bytes_of(hex):
	var bytes = StreamPeerBuffer.new()
	for index in range(0, hex.length(), 2):
		bytes.put_u8(("0x" + hex.substr(index, 2)).hex_to_int())
	return bytes.data_array


# `expected` may lack what is at its default in nested specs.
func is_same_value(value, expected):
	match typeof(expected):
		TYPE_DICTIONARY:
			for key in expected:
				if not value.has(key) or not is_same_value(value[key], expected[key]):
					return false
			return true
		TYPE_ARRAY:
			if value.size() != expected.size():
				return false
			for index in range(value.size()):
				if not is_same_value(value[index], expected[index]):
					return false
			return true
	return value == expected


func to_json_text(texts):
	var quoted = []
	for text in texts:
		quoted.append('"%s"' % text.json_escape())
	return "[%s]" % join(quoted)


func join(texts):
	var all = ""
	for text in texts:
		all += text if all == "" else ", " + text
	return all
