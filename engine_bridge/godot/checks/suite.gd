# Runs each method whose name begins with test_.
#
# Prints one line of JSON: {"passed": N, "failed": ["test: what", ...]}.
extends SceneTree

const Platform = preload("../addons/diegetic/core/platform.gd")

var failed = []
var current = ""


func _init():
	var passed = 0
	for method in get_method_list():
		if method.name.begins_with("test_"):
			current = method.name
			var before = failed.size()
			call(current)
			passed += 1 if failed.size() == before else 0
	print('{"passed": %d, "failed": %s}' % [passed, quoted(failed)])
	quit()


func expect(value, expected, what = ""):
	if typeof(value) != typeof(expected) or str(value) != str(expected):
		failed.append("%s: expected %s, got %s %s" % [current, expected, value, what])


func expect_true(value, what):
	if not value:
		failed.append("%s: %s" % [current, what])


func bytes_of(list):
	var bytes = Platform.no_bytes()
	for value in list:
		bytes.append(value)
	return bytes


func quoted(texts):
	var all = ""
	for text in texts:
		all += '%s"%s"' % ["" if all == "" else ", ", text.json_escape()]
	return "[%s]" % all
