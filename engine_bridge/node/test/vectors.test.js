/** The golden vectors, and what is said of a bad message; GOLDEN names the file of vectors. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { camel } from "../src/kinds.js";
import { checked, decodeReply, encode } from "../src/messages.js";
import { Packer, unpack } from "../src/wire.js";

/** @typedef {import("../src/kinds.js").Fields} Fields */

const FILE = process.env.GOLDEN ?? new URL("../../golden/vectors.json", import.meta.url);

/** @type {Fields[]} */
const VECTORS = JSON.parse(readFileSync(FILE, "utf8"), (_, value) =>
  typeof value?.bytes === "string" && Object.keys(value).length === 1
    ? Buffer.from(value.bytes, "hex")
    : value,
).vectors;

test("there are vectors of both directions", () => {
  assert(VECTORS.filter(({ exact }) => exact).length > 50);
  assert(VECTORS.filter(({ to }) => to === "engine").length > 20);
});

for (const { name, message, bytes } of VECTORS.filter(({ exact }) => exact)) {
  test(`says ${name} in the very bytes`, () => {
    const { type, ...fields } = message;
    assert.equal(encode(checked(type, fields)).toString("hex"), bytes);
  });
}

for (const { name, message, bytes } of VECTORS.filter(({ to }) => to === "engine")) {
  test(`understands ${name}`, () => {
    const entries = Object.entries(message).map(([key, value]) => [camel(key), value]);
    assert.deepEqual(decodeReply(Buffer.from(bytes, "hex")), Object.fromEntries(entries));
  });
}

test("lengths of 16 bits and more are packed as they are unpacked", () => {
  const packer = new Packer();
  packer.list(4);
  packer.bytes(new Uint8Array(65_535));
  packer.bytes(new Uint8Array(65_536).fill(7));
  packer.text("é".repeat(40_000));
  packer.text("");
  const [short, long, letters, nothing] = /** @type {any[]} */ (unpack(packer.data));
  assert.deepEqual([short.length, long.length, letters.length, nothing], [65535, 65536, 40000, ""]);
  assert.equal(long[65_535], 7);
});

test("what is no reply is nothing, and never an exception", () => {
  const ack = Buffer.from("82a474797065a361636ba66576656e74739101", "hex");
  assert.deepEqual(decodeReply(ack), { type: "ack", events: [1] });
  for (let length = 0; length < ack.length; length++) {
    assert.equal(decodeReply(ack.subarray(0, length)), null);
  }
  for (const hex of [
    "c1",
    "c0",
    "90",
    "dfffffffff",
    "ddffffffff",
    "c6ffffffff00",
    "82a474797065a361636ba66576656e747391c0", // ack of nil
    "81a474797065a468616c6c", // of a later version
    "81a474797065a8746f537472696e67", // type: toString
    "83a474797065a370636da66e756d62657200a773616d706c6573c403000000", // less than a frame
  ]) {
    assert.equal(decodeReply(Buffer.from(hex, "hex")), null, hex);
  }
  assert.equal(decodeReply(Buffer.alloc(100_000, 0x91)), null);
  assert.equal(decodeReply(Buffer.concat([ack, ack])), null);
});

test("what is out of its limits is refused by name", () => {
  /** @type {[string, Fields, string][]} */
  const wrong = [
    ["event", { id: 1, name: "", time: 1 }, "name"],
    ["event", { id: 1, name: "🔔".repeat(65), time: 1 }, "name"],
    ["event", { id: 2 ** 53, name: "shot", time: 1 }, "id"],
    ["event", { id: 1.5, name: "shot", time: 1 }, "id"],
    ["event", { id: 1, name: "shot", time: 1, gain_db: 24.1 }, "gain_db"],
    ["event", { id: 1, name: "shot", time: 1, position: [0, NaN, 0] }, "position[1]"],
    ["event", { id: 1, name: "shot", time: 1, position: [0, 0] }, "position"],
    ["event", { id: 1, name: "shot", time: 1, occlusion: "1" }, "occlusion"],
    ["event", { id: 1, name: "shot", time: 1, gain: 1 }, "gain"],
    ["event", { id: 1, name: "shot" }, "time"],
    ["event", { id: 1, name: "shot", time: 1e11 }, "time"],
    ["prompt", { text: "x".repeat(2001), time: 1 }, "text"],
    ["prompt", { text: "x", time: 1, weight: 0 }, "weight"],
    ["prompt", { text: "x", time: 1, blend: { x: 1 } }, "blend"],
    ["prompt", { text: "", time: 1, blend: { x: 1 } }, "text"],
    ["prompt", { text: "x", time: 1, blend: { y: 1, z: 1, a: 1 } }, "blend"],
    ["prompt", { text: "x", time: 1, blend: { y: -1 } }, "blend[...]"],
    ["prompt", { text: 7, time: 1 }, "text"],
    ["layers", { layers: ["drums"], time: 1 }, "layers[0]"],
    ["bus", { name: "voices", time: 1 }, "gain_db"],
    ["bus", { name: "voices", time: 1, mute: 1 }, "mute"],
    ["listener", { position: [0, 0, 0], time: 1, forward: [0, 0, 0] }, "forward"],
    ["listener", { position: [0, 0, 0], time: 1, up: [0, 0, 3] }, "up"],
    ["frame", { width: 2, height: 2, time: 1, pixels: new Uint8Array(11) }, "pixels"],
    ["frame", { width: 2, height: 2, time: 1, pixels: new Uint8Array(12), stride: 5 }, "stride"],
    ["frame", { width: 0, height: 2, time: 1, pixels: new Uint8Array(0) }, "width"],
    ["frame", { width: 2, height: 2, time: 1, pixels: "12" }, "pixels"],
    ["hello", { version: 1, time: 1, events: [{ name: "shot", variations: 17 }] },
      "events[0].variations"],
    ["hello", { version: 1, time: 1, snapshots: [{ name: "a", gains_db: { beds: 25 } }] },
      "snapshots[0].gains_db[...]"],
  ];
  for (const [type, fields, field] of wrong) {
    assert.throws(() => checked(type, fields), { field }, `${type} ${field}`);
  }
});
