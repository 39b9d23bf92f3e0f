/** What is kept, what is said again, and when. */

import assert from "node:assert/strict";
import test from "node:test";

import { HELLO_AGAIN, Link, MAX_EVENTS, PING_BYTES, WINDOW_BYTES } from "../src/link.js";
import { checked } from "../src/messages.js";

/** @typedef {import("../src/kinds.js").Fields} Fields */

const HELLO = checked("hello", { version: 1, time: 0, events: ["shot", { name: "step" }] });
/** @type {import("../index.d.ts").Reply} */
const WELCOME = {
  type: "welcome", version: 1, session: "s", rate: 48000, latencyMs: 80, pcm: false,
};

function makeLink() {
  return new Link(HELLO, 10);
}

/** @param {Link} link */
function open(link, now = 0) {
  link.connected(now);
  assert.equal(take(link, now)?.type, "hello");
  link.receive(WELCOME, now);
}

/** @param {Link} link */
function take(link, now = 0, bytes = 10) {
  const message = link.outgoing(now);
  if (message !== null) link.sent(message, bytes, now);
  return message;
}

/**
 * @param {Link} link
 * @returns {Fields[]}
 */
function takeAll(link, now = 0) {
  const said = [];
  for (let message = take(link, now); message !== null; message = take(link, now)) {
    if (message.type !== "ping") said.push(message);
  }
  return said;
}

/** @param {number} id */
const event = (id, time = 0) => checked("event", { id, name: "shot", time });

/** @param {string} value */
const surface = (value, time = 0) => checked("switch", { name: "surface", value, time });

/**
 * Whether the bank is ready after a status that has heard what was said up to `heard`.
 * @param {Link} link
 * @param {number} heard
 */
function isReady(link, heard, bankReady = 12) {
  const status = /** @type {any} */ ({ type: "status", heard, bankReady, bankWanted: 12 });
  link.receive(status, heard);
  return link.isBankReady;
}

/** @param {number} value */
const threat = (value) => checked("parameter", { name: "threat", value, time: 0 });

test("a state that waits makes way for its successor, which takes its turn", () => {
  const link = makeLink();
  open(link);
  link.say(threat(0.1));
  link.say(event(1));
  link.say(threat(0.2));
  assert.deepEqual(takeAll(link), [event(1), threat(0.2)]);
});

test("a gain and a mute count both, a push and its pop are one", () => {
  const link = makeLink();
  open(link);
  const gain = checked("bus", { name: "voices", time: 0, gain_db: -6 });
  const mute = checked("bus", { name: "voices", time: 0, mute: true });
  const push = checked("push_snapshot", { name: "pause", time: 0 });
  const pop = checked("pop_snapshot", { name: "pause", time: 0 });
  for (const message of [gain, mute, push, pop]) link.say(message);
  assert.deepEqual(takeAll(link), [gain, mute, pop]);
});

test("a new session hears all states and the events that were not acknowledged, in order", () => {
  const link = makeLink();
  open(link);
  for (const message of [event(1), threat(0.5), event(2), event(3)]) link.say(message);
  assert.equal(takeAll(link).length, 4);
  link.receive({ type: "ack", events: [2, 99] }, 0);
  link.disconnected();
  assert.equal(link.outgoing(0), null);
  link.say(threat(0.7));
  open(link);
  assert.deepEqual(takeAll(link), [event(1), event(3), threat(0.7)]);
  assert.deepEqual(
    [link.waiting, link.counts.eventsAcked, link.counts.reconnects], [2, 1, 1],
  );
});

test("hello is said again after silence, and at once when the server knows nothing of us", () => {
  const link = makeLink();
  link.connected(5);
  assert.deepEqual(take(link, 5), { ...HELLO, time: 5 });
  assert.equal(take(link, 5 + HELLO_AGAIN - 0.01), null);
  assert.equal(take(link, 5 + HELLO_AGAIN)?.type, "hello");
  link.receive(WELCOME, 8);
  assert.equal(take(link, 8), null);
  assert.equal(take(link, 9)?.type, "ping");
  link.receive({ type: "error", code: "no-hello", field: "type", message: "" }, 9);
  assert.equal(take(link, 9)?.type, "hello");
});

test("an event that finds no server in time is given up", () => {
  const link = makeLink();
  link.say(event(1, 0));
  link.say(event(2, 5));
  link.outgoing(10);
  assert.deepEqual([link.waiting, link.counts.eventsGivenUp], [2, 0]);
  link.outgoing(11);
  assert.deepEqual([link.waiting, link.counts.eventsGivenUp], [1, 1]);
  open(link, 16);
  assert.deepEqual(takeAll(link, 16), []);
  assert.equal(link.counts.eventsGivenUp, 2);
});

test("of too many events the oldest go, which is said once", () => {
  const link = makeLink();
  const answers = [];
  for (let id = 0; id < MAX_EVENTS + 5; id++) answers.push(link.say(event(id)));
  assert.deepEqual(answers.map((fits, id) => (fits ? -1 : id)).filter((id) => id >= 0), [
    MAX_EVENTS,
  ]);
  assert.equal(link.counts.eventsGivenUp, 5);
  open(link);
  const said = takeAll(link);
  assert.deepEqual([said.length, said[0].id], [MAX_EVENTS, 5]);
});

test("only the newest frame waits", () => {
  const link = makeLink();
  const frames = [1, 2, 3].map((value) =>
    checked("frame", { width: 1, height: 1, time: 0, pixels: new Uint8Array(3).fill(value) }),
  );
  for (const frame of frames) link.show(frame);
  open(link);
  assert.deepEqual(takeAll(link), [frames[2]]);
  assert.deepEqual([link.counts.framesReplaced, link.counts.framesSent], [2, 1]);
});

test("a server that takes nothing gets no more than a window, and the rest when it answers", () => {
  const link = makeLink();
  open(link);
  let bytes = 0;
  const pings = [];
  for (let id = 0; id < 1000; id++) link.say(event(id));
  for (let message = take(link, 0, 1024); message !== null; message = take(link, 0, 1024)) {
    bytes += 1024;
    if (message.type === "ping") pings.push(message);
  }
  assert(bytes > WINDOW_BYTES && bytes <= WINDOW_BYTES + PING_BYTES, `${bytes}`);
  assert.equal(take(link, 1)?.type, "ping"); // whatever happens, once a second
  link.receive({ type: "pong", time: pings[0].time, serverTime: 7 }, 2);
  assert.equal(link.roundTrip, 2);
  assert.equal(take(link, 1)?.type, "event");
});

test("a full bank is one of which a server has told since hello", () => {
  const link = makeLink();
  open(link, 20);
  assert.equal(link.isBankReady, false);
  assert.equal(isReady(link, 0), false); // a server that does not say what it had heard
  assert.equal(isReady(link, 19.9), false);
  assert.equal(isReady(link, 20, 11), false);
  assert.equal(isReady(link, 20), true);
  link.disconnected();
  assert.equal(link.isBankReady, false);
});

test("after a switch only a status that has heard of it tells", () => {
  const link = makeLink();
  open(link, 20);
  assert.equal(isReady(link, 20), true);
  link.say(surface("grass"));
  assert.equal(link.isBankReady, false);
  assert.deepEqual(take(link, 20), surface("grass"));
  assert.equal(take(link, 20), null); // the clock stands: no two pings are alike
  assert.equal(isReady(link, 20), false);
  assert.equal(take(link, 20.1)?.type, "ping");
  assert.equal(isReady(link, 20), false);
  assert.equal(isReady(link, 20.1), true);
  link.say(surface("grass", 1)); // as a game does that says it in every frame
  link.say(event(1));
  link.say(checked("event", { id: 2, name: "step", time: 0 }));
  assert.equal(link.isBankReady, true);
  for (let count = 0; count < 3; count++) assert.notEqual(take(link, 20.2)?.type, "ping");
  assert.equal(take(link, 20.2), null);
});

test("a value that is said again while it waits is still waited for", () => {
  const link = makeLink();
  open(link, 20);
  link.say(surface("grass"));
  link.say(threat(0.5));
  link.say(surface("grass", 1));
  const said = [];
  for (let message = take(link, 21); message; message = take(link, 21)) said.push(message.type);
  assert.deepEqual(said, ["ping", "parameter", "switch"]);
  assert.equal(isReady(link, 21), false); // that ping was due, and says nothing of the switch
  assert.equal(take(link, 21.1)?.type, "ping");
  assert.equal(isReady(link, 21.1), true);
});

test("a name that was not declared is waited for once", () => {
  const link = makeLink();
  open(link, 20);
  const crow = (/** @type {number} */ id) => checked("event", { id, name: "crow", time: 20 });
  link.say(crow(1));
  assert.equal(isReady(link, 20), false);
  assert.deepEqual(take(link, 20.1), crow(1));
  assert.equal(take(link, 20.1)?.type, "ping");
  assert.equal(isReady(link, 20.1), true);
  link.say(crow(2));
  assert.equal(link.isBankReady, true);
});

test("a server that was restarted is told all before it is believed", () => {
  const link = makeLink();
  open(link, 20);
  link.say(surface("grass"));
  takeAll(link, 20.1);
  assert.equal(isReady(link, 20.1), true);
  link.disconnected();
  open(link, 21);
  assert.equal(isReady(link, 21), false);
  assert.deepEqual(take(link, 21.1), surface("grass"));
  assert.equal(take(link, 21.1)?.type, "ping");
  assert.equal(isReady(link, 21.1), true);
});
