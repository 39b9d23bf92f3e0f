/** A client without a server: nothing throws, nothing waits, nothing is lost that is news. */

import assert from "node:assert/strict";
import test from "node:test";

import { Client } from "diegetic-bridge";

const NOBODY = "tcp://127.0.0.1:1";

test("without a server the newest state and the events wait", () => {
  const client = new Client({ endpoint: NOBODY, log: () => {} });
  for (let index = 0; index < 1000; index++) {
    client.setPrompt(`prompt ${index}`);
    client.setParameter("threat", index);
    client.pushFrame(new Uint8Array(12), 2, 2);
    assert.equal(client.postEvent("shot"), index + 1);
  }
  const { connected, welcomed, sent, eventsWaiting, framesReplaced } = client.stats;
  assert.deepEqual(
    { connected, welcomed, sent, eventsWaiting, framesReplaced },
    { connected: false, welcomed: false, sent: 0, eventsWaiting: 1000, framesReplaced: 999 },
  );
  assert.deepEqual(client.poll(), []);
  assert.deepEqual(client.readPcm(64), new Float32Array(128));
  client.close();
  client.close();
  client.postEvent("shot");
});

test("wrong arguments come out of poll, are logged once and throw nothing", () => {
  /** @type {string[]} */
  const lines = [];
  const client = new Client({ endpoint: NOBODY, log: (line) => lines.push(line) });
  const game = /** @type {any} */ (client);
  for (let turn = 0; turn < 2; turn++) {
    game.setPrompt("x".repeat(3000));
    game.setPrompt({});
    game.setPrompt(null, null);
    game.setLayers("music");
    game.setParameter("threat", NaN);
    game.setParameter("threat", 0.5, { ranp: 1 });
    game.setSwitch(undefined, "x");
    game.postEvent("shot", { at: performance.now() / 1000 + 61 });
    game.postEvent("shot", { position: "here" });
    game.setBus("voices");
    game.setBus("voices", { mute: 1 });
    for (const lufs of [NaN, 5, -200, "loud"]) game.setLoudness(lufs);
    game.pushSnapshot("", null);
    game.setListener([1, 2]);
    game.pushFrame(new Uint8Array(10), 2, 2);
  }
  const fields = client.poll().map((reply) => (reply.type === "error" ? reply.field : ""));
  assert.deepEqual(fields.slice(0, 18), [
    "text", "text", "text", "layers", "value", "ranp", "name", "time", "position", "gain_db",
    "mute", "lufs", "lufs", "lufs", "lufs", "name", "position", "pixels",
  ]);
  assert.equal(client.stats.errors, 36);
  assert.equal(client.stats.eventsWaiting, 0);
  assert.equal(new Set(lines).size, lines.length);
  client.close();
});

test("a declaration out of its limits and an address that is none throw", () => {
  assert.throws(() => new Client({ engine: "x".repeat(129) }), { field: "engine" });
  assert.throws(() => new Client({ endpoint: "nowhere" }), /ZeroMQ address/);
  const typo = /** @type {any} */ ({ event: ["shot"] });
  assert.throws(() => new Client(typo), { field: "event" });
});

test("who waits for the bank in vain is told why", async () => {
  const client = new Client({ endpoint: NOBODY, events: ["shot"], log: () => {} });
  await assert.rejects(client.waitForBank({ timeout: 0.01 }), /a server, none has answered/);
  for (const timeout of [NaN, -1]) {
    await assert.rejects(client.waitForBank({ timeout }), { field: "timeout" });
  }
  const waiting = client.waitForBank({ timeout: Infinity });
  client.close();
  await assert.rejects(waiting, /closed/);
  await assert.rejects(client.waitForBank(), /closed/);
});
