# Holds a message against its fields: plain values within their limits, or what is wrong with them.

const Platform = preload("platform.gd")
const Fields = preload("fields.gd")

const _LEAST_LENGTH = 0.001  # of a direction, and of the sine between two that must differ

var field = ""  # of the message that was refused last
var why = ""  # what was expected of it, and what came


# The fields of `message` as [name, kind, value], in their order and without those at their default;
# null if one is wrong, or if there is another one and `may_have_more` is false.
func fields_of(message, fields, may_have_more):
	why = ""
	var found = []
	var known = 1 if message.has("type") else 0
	for description in fields:
		field = description[0]
		known += 1 if message.has(field) else 0
		var value = message.get(field)
		if typeof(value) == TYPE_NIL:
			if description.size() == 2:
				why = "expected a value, got none"
				return null
			continue
		var plain = _plain(description[1], value)
		if why != "":
			return null
		if description.size() == 2 or not _is_same(plain, description[2]):
			found.append([field, description[1], plain])
	if known < message.size() and not may_have_more:
		field = _first_unknown(message, fields)
		why = "expected nothing of that name"
		return null
	return found


# Holds the fields of one message against each other; "" or what is wrong.
func disagreement(message):
	why = ""
	match message.get("type"):
		"frame":
			_check_frame(message)
		"prompt":
			_check_prompt(message)
		"bus":
			if typeof(message.get("gain_db")) == TYPE_NIL and typeof(message.get("mute")) == TYPE_NIL:
				_refuse("gain_db", "expected a gain or a mute, got neither")
		"listener":
			_check_listener(message)
	return why


func _plain(kind, value):
	var what = kind[0]
	if what == Fields.NUMBER:
		if typeof(value) == Platform.NUMBER or typeof(value) == TYPE_INT:
			if value >= kind[1] and value <= kind[2]:
				return float(value)
		var least = "above 0" if kind[1] == Fields.SOME else "from %s" % kind[1]
		return _expected("a number %s to %s" % [least, kind[2]], value)
	if what == Fields.TEXT:
		if Platform.is_text(value) and value.length() >= kind[1] and value.length() <= kind[2]:
			return str(value)
		return _expected("%d to %d characters" % [kind[1], kind[2]], value)
	if what == Fields.WHOLE:
		if typeof(value) == TYPE_INT and value >= kind[1] and value <= kind[2]:
			return value
		return _expected("a whole number from %d to %d" % [kind[1], kind[2]], value)
	if what == Fields.VECTOR:
		return _vector(kind, value)
	if what == Fields.BYTES:
		if typeof(value) == Platform.BYTES and value.size() <= kind[2]:
			return value
		return _expected("at most %d bytes" % kind[2], value)
	if what == Fields.CHOICE:
		if Platform.is_text(value) and str(value) in kind[1]:
			return str(value)
		return _expected("one of %s" % str(kind[1]), value)
	if what == Fields.FLAG:
		return value if typeof(value) == TYPE_BOOL else _expected("true or false", value)
	if what == Fields.LIST:
		return _list(kind, value)
	if what == Fields.MAP:
		return _map(kind, value)
	if what == Fields.NAME_OR_SPEC and Platform.is_text(value):
		return _plain([Fields.TEXT, 1, 64], value)
	if typeof(value) != TYPE_DICTIONARY:
		return _expected("a dictionary", value)
	var name_above = field
	var found = fields_of(value, Fields.SPECS[kind[1]], false)
	field = name_above if why == "" else "%s.%s" % [name_above, field]
	return found


func _vector(kind, value):
	var parts = value
	if typeof(value) == TYPE_VECTOR3:
		parts = [value.x, value.y, value.z]
	elif not Platform.is_list(value) or value.size() != 3:
		return _expected("three numbers", value)
	return _list([Fields.LIST, 3, 3, [Fields.NUMBER, kind[1], kind[2]]], parts)


func _list(kind, value):
	if not Platform.is_list(value) or value.size() < kind[1] or value.size() > kind[2]:
		return _expected("a list of %d to %d" % [kind[1], kind[2]], value)
	var plain = []
	var list_name = field
	for item in value:
		field = "%s[%d]" % [list_name, plain.size()]
		plain.append(_plain(kind[3], item))
		if why != "":
			return null
	field = list_name
	return plain


func _map(kind, value):
	if typeof(value) != TYPE_DICTIONARY or value.size() < kind[1] or value.size() > kind[2]:
		return _expected("a dictionary of %d to %d" % [kind[1], kind[2]], value)
	var plain = {}
	for key in value:
		var plain_key = _plain(kind[4], key)
		if why == "":
			plain[plain_key] = _plain(kind[3], value[key])
		if why != "":
			return null
	return plain


func _check_frame(message):
	var used = message.width * Fields.PIXEL_BYTES[str(message.get("format", "rgb24"))]
	var row = message.get("stride", 0)
	if row == 0:
		row = used
	if row < used:
		_refuse("stride", "expected 0 or at least %d, got %d" % [used, row])
		return
	var most = row * message.height
	var least = most - row + used
	var size = message.pixels.size()
	if size < least or size > most:
		_refuse("pixels", "expected %d to %d bytes, got %d" % [least, most, size])


func _check_prompt(message):
	var blend = message.get("blend", {})
	if blend.size() > 0 and message.text == "":
		_refuse("text", "expected words beside those of blend, got none")
	elif blend.has(message.text):
		_refuse("blend", "expected other texts than '%s', got it again" % message.text.left(50))


func _check_listener(message):
	var forward = _direction(message.get("forward", Vector3(0, 0, -1)))
	var up = _direction(message.get("up", Vector3(0, 1, 0)))
	if forward.length() < _LEAST_LENGTH:
		_refuse("forward", "expected a direction, got %s" % str(forward))
	elif up.length() < _LEAST_LENGTH:
		_refuse("up", "expected a direction, got %s" % str(up))
	elif forward.cross(up).length() < _LEAST_LENGTH * forward.length() * up.length():
		_refuse("up", "expected another direction than forward, got %s" % str(up))


func _direction(value):
	return value if typeof(value) == TYPE_VECTOR3 else Vector3(value[0], value[1], value[2])


func _is_same(value, default):
	match typeof(default):
		TYPE_NIL:
			return false
		TYPE_DICTIONARY:
			return value.size() == 0
	return value == default


func _first_unknown(message, fields):
	var names = ["type"]
	for description in fields:
		names.append(description[0])
	for key in message:
		if not key in names:
			return str(key)
	return ""


func _expected(what, value):
	var got = str(value).left(60)
	if typeof(value) == Platform.BYTES:
		got = "%d bytes" % value.size()
	elif Platform.is_text(value):
		got = "'%s' (%d characters)" % [got, value.length()]
	elif Platform.is_list(value) or typeof(value) == TYPE_DICTIONARY:
		got = "%d" % value.size()
	_refuse(field, "expected %s, got %s" % [what, got])
	return null


func _refuse(wrong_field, reason):
	field = wrong_field
	why = reason
