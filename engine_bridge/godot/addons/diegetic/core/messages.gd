# Messages as Dictionaries to bytes, and back.

const Checker = preload("checker.gd")
const Fields = preload("fields.gd")
const Reader = preload("msgpack_reader.gd")
const Writer = preload("msgpack_writer.gd")

const VERSION = 1

var field = ""  # of the message that was refused last
var why = ""  # what was expected of it, and what came

var _checker = Checker.new()
var _reader = Reader.new()
var _writer = Writer.new()


# The bytes of something that an engine says, or null; then `field` and `why` tell what is wrong.
func pack(message):
	var found = _checker.fields_of(message, Fields.SAID[message.type], false)
	field = _checker.field
	why = _checker.why
	if why == "" and _checker.disagreement(message) != "":
		field = _checker.field
		why = _checker.why
	if why != "":
		return null
	_writer.start()
	_writer.dictionary(found.size() + 1)
	_writer.key("type")
	_writer.key(message.type)
	_write_fields(found)
	return _writer.bytes()


# What a server said, every field in its place, or null if it is nothing that this version knows.
func unpack(bytes):
	var message = _reader.read(bytes)
	if typeof(message) != TYPE_DICTIONARY or not Fields.HEARD.has(message.get("type")):
		return null
	var fields = Fields.HEARD[message.type]
	var found = _checker.fields_of(message, fields, true)
	if _checker.why != "":
		return null
	var plain = {"type": message.type}
	for description in fields:
		if description.size() == 3:
			plain[description[0]] = description[2]
	for entry in found:
		plain[entry[0]] = entry[2]
	if message.type == "pcm" and plain.samples.size() % 8 != 0:
		return null
	return plain


func _write_fields(found):
	for entry in found:
		_writer.key(entry[0])
		_write(entry[1], entry[2])


func _write(kind, value):
	var what = kind[0]
	if what == Fields.NUMBER:
		_writer.number(value)
	elif what == Fields.TEXT or what == Fields.CHOICE:
		_writer.text(value)
	elif what == Fields.WHOLE:
		_writer.whole(value)
	else:
		_write_compound(kind, value)


func _write_compound(kind, value):
	match kind[0]:
		Fields.BYTES:
			_writer.binary(value)
		Fields.FLAG:
			_writer.flag(value)
		Fields.VECTOR:
			_writer.list(3)
			for number in value:
				_writer.number(number)
		Fields.LIST:
			_writer.list(value.size())
			for item in value:
				_write(kind[3], item)
		Fields.MAP:
			_writer.dictionary(value.size())
			for key in value:
				_writer.text(key)
				_write(kind[3], value[key])
		_:
			_write_spec(value)


# A spec, as [name, kind, value] of each of its fields, or the name of one alone.
func _write_spec(value):
	if typeof(value) == TYPE_STRING:
		_writer.text(value)
	else:
		_writer.dictionary(value.size())
		_write_fields(value)
