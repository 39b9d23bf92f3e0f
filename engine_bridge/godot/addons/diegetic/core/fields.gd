# The messages of bridge v1: their fields in the order of PROTOCOL.md, limits and defaults.
#
# A field is [name, kind], or [name, kind, default] if it may be left out. A kind is [what, ...]:
#
#   [TEXT, shortest, longest]           [NUMBER, least, most]     [WHOLE, least, most]   [FLAG]
#   [BYTES, least, most]                [CHOICE, values]          [VECTOR, least, most] of each of 3
#   [LIST, least, most, kind of items]  [MAP, least, most, kind of values, kind of keys]
#   [SPEC, name in SPECS]               [NAME_OR_SPEC, name in SPECS]

enum {
	TEXT, NUMBER, WHOLE, FLAG, BYTES, CHOICE, VECTOR, LIST, MAP, SPEC, NAME_OR_SPEC
}

const PIXEL_BYTES = {"rgb24": 3, "bgra8": 4, "rgba8": 4, "gray8": 1}

const SOME = 1e-300  # the least number above 0 that is not lost on the way
const _LARGE = 9007199254740991  # the largest whole number that every engine can hold

const _NAME = [TEXT, 1, 64]
const _TIME = [NUMBER, 0.0, 1e10]
const _RAMP = [NUMBER, 0.0, 60.0]
const _GAIN = [NUMBER, -96.0, 24.0]
const _VALUE = [NUMBER, -1e9, 1e9]
const _WEIGHT = [NUMBER, SOME, 1e9]
const _PLACE = [VECTOR, -1e6, 1e6]

const SPECS = {
	"parameter": [
		["name", _NAME],
		["minimum", _VALUE, 0.0],
		["maximum", _VALUE, 1.0],
		["default", _VALUE, 0.0],
	],
	"switch": [
		["name", _NAME],
		["values", [LIST, 1, 256, _NAME]],
	],
	"event": [
		["name", _NAME],
		["text", [TEXT, 0, 500], ""],
		["variations", [WHOLE, 1, 16], 5],
		["length", [NUMBER, 0.05, 4.0], 1.0],
		["gain_db", _GAIN, 0.0],
		["bus", _NAME, "events"],
	],
	"bus": [
		["name", _NAME],
		["parent", _NAME, "master"],
		["ducks", [LIST, 0, 8, [SPEC, "duck"]], []],
	],
	"duck": [
		["source", _NAME],
		["gain_db", [NUMBER, -60.0, 0.0], -9.0],
		["attack", [NUMBER, 0.001, 10.0], 0.05],
		["release", [NUMBER, 0.001, 10.0], 0.5],
	],
	"snapshot": [
		["name", _NAME],
		["gains_db", [MAP, 0, 64, _GAIN, _NAME]],
	],
	"pcm": [
		["rate", [WHOLE, 8000, 192000], 48000],
		["frames", [WHOLE, 64, 8192], 512],
	],
}

# What an engine says.
const SAID = {
	"hello": [
		["version", [WHOLE, 1, _LARGE]],
		["time", _TIME],
		["engine", [TEXT, 0, 128], ""],
		["instance", [TEXT, 0, 64], ""],
		["parameters", [LIST, 0, 256, [SPEC, "parameter"]], []],
		["switches", [LIST, 0, 256, [SPEC, "switch"]], []],
		["events", [LIST, 0, 1024, [NAME_OR_SPEC, "event"]], []],
		["buses", [LIST, 0, 64, [SPEC, "bus"]], []],
		["snapshots", [LIST, 0, 64, [SPEC, "snapshot"]], []],
		["pcm", [SPEC, "pcm"], null],
	],
	"frame": [
		["width", [WHOLE, 1, 4096]],
		["height", [WHOLE, 1, 4096]],
		["time", _TIME],
		["pixels", [BYTES, 0, 4194304]],
		["format", [CHOICE, ["rgb24", "bgra8", "rgba8", "gray8"]], "rgb24"],
		["stride", [WHOLE, 0, 4194304], 0],
		["origin", [CHOICE, ["top", "bottom"]], "top"],
	],
	"prompt": [
		["text", [TEXT, 0, 2000]],
		["time", _TIME],
		["guidance", [NUMBER, 1.0, 5.0], null],
		["weight", _WEIGHT, 1.0],
		["blend", [MAP, 0, 2, _WEIGHT, [TEXT, 1, 2000]], {}],
		["ramp", _RAMP, 0.0],
	],
	"layers": [
		["layers", [LIST, 0, 3, [CHOICE, ["ambience", "music", "foley"]]]],
		["time", _TIME],
	],
	"parameter": [
		["name", _NAME],
		["value", _VALUE],
		["time", _TIME],
		["ramp", _RAMP, 0.0],
	],
	"switch": [
		["name", _NAME],
		["value", _NAME],
		["time", _TIME],
	],
	"event": [
		["id", [WHOLE, 0, _LARGE]],
		["name", _NAME],
		["time", _TIME],
		["gain_db", _GAIN, 0.0],
		["position", _PLACE, null],
		["occlusion", [NUMBER, 0.0, 1.0], 0.0],
		["bus", [TEXT, 0, 64], ""],
	],
	"bus": [
		["name", _NAME],
		["time", _TIME],
		["gain_db", _GAIN, null],
		["mute", [FLAG], null],
		["fade", _RAMP, 0.0],
	],
	"push_snapshot": [
		["name", _NAME],
		["time", _TIME],
		["fade", _RAMP, 0.0],
	],
	"pop_snapshot": [
		["name", _NAME],
		["time", _TIME],
		["fade", _RAMP, 0.0],
	],
	"loudness": [
		["time", _TIME],
		["lufs", [NUMBER, -40.0, -10.0], null],
	],
	"listener": [
		["position", _PLACE],
		["time", _TIME],
		["forward", _PLACE, [0.0, 0.0, -1.0]],
		["up", _PLACE, [0.0, 1.0, 0.0]],
	],
	"ping": [["time", _TIME]],
	"bye": [["time", _TIME]],
}

const _COUNT = [WHOLE, -_LARGE, _LARGE]
const _ANY = [NUMBER, -1e300, 1e300]
const _WORDS = [TEXT, 0, 4194304]

# What a server says.
const HEARD = {
	"welcome": [
		["version", _COUNT],
		["session", _WORDS],
		["rate", _COUNT],
		["latency_ms", _ANY],
		["pcm", [FLAG], false],
	],
	"ack": [["events", [LIST, 0, 4194304, _COUNT]]],
	"error": [["code", _WORDS], ["field", _WORDS], ["message", _WORDS]],
	"status": [
		["frames", _COUNT, 0],
		["frames_conflated", _COUNT, 0],
		["prompts", _COUNT, 0],
		["layers", _COUNT, 0],
		["parameters", _COUNT, 0],
		["switches", _COUNT, 0],
		["events", _COUNT, 0],
		["buses", _COUNT, 0],
		["snapshots", _COUNT, 0],
		["listeners", _COUNT, 0],
		["errors", _COUNT, 0],
		["dropped", _COUNT, 0],
		["unsent", _COUNT, 0],
		["rtf", _ANY, 0.0],
		["underruns", _COUNT, 0],
		["bank_ready", _COUNT, 0],
		["bank_wanted", _COUNT, 0],
		["events_missed", _COUNT, 0],
		["events_late", _COUNT, 0],
		["heard", _ANY, 0.0],
	],
	"pong": [["time", _ANY], ["server_time", _ANY]],
	"pcm": [["number", _COUNT], ["samples", [BYTES, 0, 16777216]]],
}
