/** The messages of bridge v1 with their limits, as PROTOCOL.md has them. */

import {
  Wrong, bool, bytes, camel, either, float, int, list, map, needed, oneOf, or, struct, text,
} from "./kinds.js";
import { Packer, unpack } from "./wire.js";

/** @typedef {import("./kinds.js").Fields} Fields */
/** @typedef {import("../index.d.ts").Reply} Reply */

export const VERSION = 1;
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
export const MAX_AHEAD = 60; // s that an event's time may lie ahead

const FRAME_BYTES = 8; // left and right, float32
const LEAST_LENGTH = 1e-3; // of a direction, and of the sine between two that must differ
const MOST_INT = Number.MAX_SAFE_INTEGER;

/** @type {Record<string, number>} */
const BYTES_PER_PIXEL = { rgb24: 3, bgra8: 4, rgba8: 4, gray8: 1 };

const NAME = text(1, 64);
const TIME = float(0, 1e10);
const RAMP = float(0, 60);
const VALUE = float(-1e9, 1e9);
const GAIN = float(-96, 24);
const WEIGHT = float(0, 1e9, true);
const SIDE = int(1, 4096);
const VECTOR = list(float(-1e6, 1e6), 3, 3);
const DUCK_TIME = float(0.001, 10);

const PARAMETER = struct({
  name: needed(NAME),
  minimum: or(VALUE, 0),
  maximum: or(VALUE, 1),
  default: or(VALUE, 0),
});
const SWITCH = struct({ name: needed(NAME), values: needed(list(NAME, 1, 256)) });
const EVENT = struct({
  name: needed(NAME),
  text: or(text(0, 500), ""),
  variations: or(int(1, 16), 5),
  length: or(float(0.05, 4), 1),
  gain_db: or(GAIN, 0),
  bus: or(NAME, "events"),
});
const DUCK = struct({
  source: needed(NAME),
  gain_db: or(float(-60, 0), -9),
  attack: or(DUCK_TIME, 0.05),
  release: or(DUCK_TIME, 0.5),
});
const BUS = struct({
  name: needed(NAME),
  parent: or(NAME, "master"),
  ducks: or(list(DUCK, 0, 8), []),
});
const SNAPSHOT = struct({ name: needed(NAME), gains_db: needed(map(NAME, GAIN, 64)) });
const PCM = struct({ rate: or(int(8000, 192000), 48000), frames: or(int(64, 8192), 512) });

const FADED = { name: needed(NAME), time: needed(TIME), fade: or(RAMP, 0) };

/** @type {Record<string, import("./kinds.js").Kind<Fields>>} */
const SAID = {
  hello: struct({
    version: needed(int(1, MOST_INT)),
    time: needed(TIME),
    engine: or(text(0, 128), ""),
    instance: or(text(0, 64), ""),
    parameters: or(list(PARAMETER, 0, 256), []),
    switches: or(list(SWITCH, 0, 256), []),
    events: or(list(either(NAME, EVENT), 0, 1024), []),
    buses: or(list(BUS, 0, 64), []),
    snapshots: or(list(SNAPSHOT, 0, 64), []),
    pcm: or(PCM, null),
  }, "hello"),
  frame: struct({
    width: needed(SIDE),
    height: needed(SIDE),
    time: needed(TIME),
    pixels: needed(bytes(MAX_MESSAGE_BYTES)),
    format: or(oneOf("rgb24", "bgra8", "rgba8", "gray8"), "rgb24"),
    stride: or(int(0, MAX_MESSAGE_BYTES), 0),
    origin: or(oneOf("top", "bottom"), "top"),
  }, "frame"),
  prompt: struct({
    text: needed(text(0, 2000)),
    time: needed(TIME),
    guidance: or(float(1, 5), null),
    weight: or(WEIGHT, 1),
    blend: or(map(text(1, 2000), WEIGHT, 2), new Map()),
    ramp: or(RAMP, 0),
  }, "prompt"),
  layers: struct({
    layers: needed(list(oneOf("ambience", "music", "foley"), 0, 3)),
    time: needed(TIME),
  }, "layers"),
  parameter: struct({
    name: needed(NAME),
    value: needed(VALUE),
    time: needed(TIME),
    ramp: or(RAMP, 0),
  }, "parameter"),
  switch: struct({ name: needed(NAME), value: needed(NAME), time: needed(TIME) }, "switch"),
  event: struct({
    id: needed(int(0, MOST_INT)),
    name: needed(NAME),
    time: needed(TIME),
    gain_db: or(GAIN, 0),
    position: or(VECTOR, null),
    occlusion: or(float(0, 1), 0),
    bus: or(text(0, 64), ""),
  }, "event"),
  bus: struct({
    name: needed(NAME),
    time: needed(TIME),
    gain_db: or(GAIN, null),
    mute: or(bool, null),
    fade: or(RAMP, 0),
  }, "bus"),
  push_snapshot: struct(FADED, "push_snapshot"),
  pop_snapshot: struct(FADED, "pop_snapshot"),
  loudness: struct({ time: needed(TIME), lufs: or(float(-40, -10), null) }, "loudness"),
  listener: struct({
    position: needed(VECTOR),
    time: needed(TIME),
    forward: or(VECTOR, [0, 0, -1]),
    up: or(VECTOR, [0, 1, 0]),
  }, "listener"),
  ping: struct({ time: needed(TIME) }, "ping"),
  bye: struct({ time: needed(TIME) }, "bye"),
};

/**
 * What the limits of single fields do not tell.
 * @type {Record<string, (message: Fields) => void>}
 */
const CHECKS = {
  frame({ width, height, pixels, format, stride }) {
    const used = width * BYTES_PER_PIXEL[format];
    const row = stride || used;
    if (row < used) throw new Wrong("stride", `0 or at least ${used}`, stride);
    const most = row * height;
    const least = most - row + used;
    if (pixels.length < least || pixels.length > most) {
      const span = least === most ? `${most}` : `${least} to ${most}`;
      throw new Wrong("pixels", `${span} bytes (${height} rows of ${row})`, pixels.length);
    }
  },
  prompt({ text: first, blend }) {
    if (blend.size && !first) throw new Wrong("text", "words beside those of blend", first);
    if (blend.has(first)) throw new Wrong("blend", "other texts than the first", first);
  },
  bus({ gain_db: gain, mute }) {
    if (gain === null && mute === null) throw new Wrong("gain_db", "a gain or a mute", gain);
  },
  listener({ forward, up }) {
    for (const [field, direction] of Object.entries({ forward, up })) {
      if (Math.hypot(...direction) < LEAST_LENGTH) throw new Wrong(field, "a direction", direction);
    }
    const [[x, y, z], [a, b, c]] = [forward, up];
    const sine = Math.hypot(y * c - z * b, z * a - x * c, x * b - y * a);
    if (sine < LEAST_LENGTH * Math.hypot(...forward) * Math.hypot(...up)) {
      throw new Wrong("up", "another direction than forward", up);
    }
  },
};

const ANY_INT = int(-MOST_INT, MOST_INT);
const ANY_FLOAT = float(-Infinity, Infinity);
const ANY_TEXT = text(0, Infinity);
const COUNT = or(ANY_INT, 0);

/** @type {Record<string, Record<string, import("./kinds.js").Field>>} */
const REPLIES = {
  welcome: {
    version: needed(ANY_INT),
    session: needed(ANY_TEXT),
    rate: needed(ANY_INT),
    latency_ms: needed(ANY_FLOAT),
    pcm: or(bool, false),
  },
  ack: { events: needed(list(ANY_INT, 0, Infinity)) },
  error: { code: needed(ANY_TEXT), field: needed(ANY_TEXT), message: needed(ANY_TEXT) },
  status: {
    frames: COUNT,
    frames_conflated: COUNT,
    prompts: COUNT,
    layers: COUNT,
    parameters: COUNT,
    switches: COUNT,
    events: COUNT,
    buses: COUNT,
    snapshots: COUNT,
    listeners: COUNT,
    errors: COUNT,
    dropped: COUNT,
    unsent: COUNT,
    rtf: or(ANY_FLOAT, 0),
    underruns: COUNT,
    bank_ready: COUNT,
    bank_wanted: COUNT,
    events_missed: COUNT,
    events_late: COUNT,
    heard: or(ANY_FLOAT, 0),
  },
  pong: { time: needed(ANY_FLOAT), server_time: needed(ANY_FLOAT) },
  pcm: { number: needed(ANY_INT), samples: needed(bytes(MAX_MESSAGE_BYTES)) },
};

/**
 * Make a message within its limits.
 * @param {string} type
 * @param {Fields} fields
 * @returns {Fields}
 * @throws {Wrong}
 */
export function checked(type, fields) {
  const message = SAID[type].read(fields, "");
  CHECKS[type]?.(message);
  return message;
}

/**
 * @param {Fields} message
 * @returns {Buffer}
 */
export function encode(message) {
  const packer = new Packer();
  SAID[message.type].pack(message, packer);
  return packer.data;
}

/**
 * Read what a server sent.
 * @param {Uint8Array} data
 * @returns {Reply | null} null: it is nothing that this version knows
 */
export function decodeReply(data) {
  try {
    const said = /** @type {Fields} */ (unpack(data));
    const fields = Object.hasOwn(REPLIES, said.type) ? REPLIES[said.type] : null;
    if (fields === null) return null;
    /** @type {Fields} */
    const reply = { type: said.type };
    for (const [name, { kind, otherwise }] of Object.entries(fields)) {
      const isLeftOut = said[name] === undefined && otherwise !== undefined;
      reply[camel(name)] = isLeftOut ? otherwise : kind.read(said[name], name);
    }
    if (reply.type === "pcm" && reply.samples.length % FRAME_BYTES) return null;
    return /** @type {Reply} */ (reply);
  } catch (error) {
    if (error instanceof Wrong || error instanceof RangeError || error instanceof TypeError) {
      return null;
    }
    throw error;
  }
}
