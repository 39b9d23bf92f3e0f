/**
 * The engine's half of one connection: what to send next, what has not arrived. It knows no socket.
 *
 *     away --connected--> knocking --welcome--> open --disconnected--> away
 *                           ^ `--error, silence: again after a while
 *                           `--------------"no-hello"------'
 *
 * What the game says is kept by a key: a state for good, its newest value only; an event until it
 * is acknowledged. Whenever a session opens, everything kept is sent again, in the order in which
 * it was said. A frame is kept only until a newer one comes.
 *
 * A ping follows every 32 KiB; its pong tells what the server has taken. While more than 256 KiB
 * are on their way nothing follows but pings: a slow server costs frames, not memory.
 *
 * Which sounds the bank is to have depends on hello, on switches, and on names that are posted
 * undeclared. Once all of that has been sent, a ping follows (or the hello was enough): a status
 * that has `heard` it tells of the bank that is wanted now, and none before it does.
 */

/** @typedef {import("./kinds.js").Fields} Fields */
/** @typedef {import("../index.d.ts").Reply} Reply */

export const HELLO_AGAIN = 2.0; // s after which an unanswered or refused hello is repeated
export const PING_INTERVAL = 1.0;
export const PING_BYTES = 32 * 1024;
export const WINDOW_BYTES = 256 * 1024;
export const MAX_EVENTS = 16_384;

const LOOK_INTERVAL = 0.25; // s between two looks for events that have waited too long
const MAX_PINGS = 64; // that wait for their pong
const MAX_NAMES = 1024; // of undeclared events that make a difference; servers know no more

export class Link {
  /** @type {"away" | "knocking" | "open"} */
  phase = "away";
  counts = {
    sent: 0,
    framesSent: 0,
    framesReplaced: 0,
    eventsAcked: 0,
    eventsGivenUp: 0,
    reconnects: 0,
    errors: 0,
  };
  /** @type {number | null} */
  roundTrip = null;
  /** @type {import("../index.d.ts").Status | null} */
  status = null;

  #hello;
  #ttl;
  #pcm;
  /** @type {Map<string, Fields>} */
  #kept = new Map();
  /** @type {Map<string, Fields>} */
  #outbox = new Map();
  /** @type {Map<number, Fields>} in the order of saying */
  #unacked = new Map();
  #isFull = false;
  /** @type {Fields | null} */
  #frame = null;
  #welcomes = 0;
  #helloAt = 0;
  #pingAt = 0;
  #lookAt = 0;
  #said = 0;
  #pinged = 0;
  #taken = 0;
  /** @type {{time: number, said: number}[]} */
  #pings = [];
  /** @type {Set<string>} */
  #declared;
  /** @type {Set<string>} undeclared names */
  #posted = new Set();
  /** @type {string | null} the key of what was said last that the bank depends on */
  #news = null;
  #greeted = 0; // time of the newest hello or ping
  /** @type {number | null} time of the one that followed all news */
  #asked = null;
  #isBankReady = false;

  /**
   * @param {Fields} hello
   * @param {number} ttl seconds that an event may wait for a server
   * @param {import("./pcm.js").PcmBuffer | null} [pcm] where the sound goes
   */
  constructor(hello, ttl, pcm = null) {
    this.#hello = hello;
    this.#ttl = ttl;
    this.#pcm = pcm;
    this.#declared = new Set(hello.events.map((/** @type {any} */ event) => event.name ?? event));
  }

  /** All sounds that are wanted now are ready; false until a server has said so. */
  get isBankReady() {
    return this.phase === "open" && this.#isBankReady;
  }

  /** Events that the server has not acknowledged yet. */
  get waiting() {
    return this.#unacked.size;
  }

  /**
   * Send a state or an event; an older value of a state that still waits is replaced.
   * @param {Fields} message
   * @returns {boolean} false: there are too many events, which is said once until there is room
   */
  say(message) {
    const key = keyOf(message);
    const before = this.#kept.get(key);
    for (const messages of [this.#kept, this.#outbox]) {
      messages.delete(key);
      messages.set(key, message);
    }
    if (this.#matters(message)) this.#look(key, message, before);
    return message.type !== "event" || this.#awaitAck(message);
  }

  /**
   * Send a frame when there is room; one that still waits makes way and is counted.
   * @param {Fields} frame
   */
  show(frame) {
    if (this.#frame !== null) this.counts.framesReplaced++;
    this.#frame = frame;
  }

  /**
   * The transport reaches a server: knock.
   * @param {number} now
   */
  connected(now) {
    this.phase = "knocking";
    this.#helloAt = now;
  }

  /** The transport is gone; what was on its way is lost. */
  disconnected() {
    this.phase = "away";
  }

  /**
   * @param {Reply} reply
   * @param {number} now
   */
  receive(reply, now) {
    switch (reply.type) {
      case "welcome":
        if (this.phase === "knocking") this.#open(now);
        break;
      case "ack":
        for (const event of reply.events) this.counts.eventsAcked += Number(this.#forget(event));
        this.#isFull &&= this.waiting > MAX_EVENTS / 2;
        break;
      case "pong":
        this.#answered(reply.time, now);
        break;
      case "error":
        this.counts.errors++;
        if (reply.code === "no-hello" && this.phase === "open") this.connected(now);
        break;
      case "status":
        this.status = reply;
        this.#isBankReady =
          this.#asked !== null && reply.heard >= this.#asked && reply.bankReady >= reply.bankWanted;
        break;
      case "pcm":
        this.#pcm?.push(reply);
        break;
    }
  }

  /**
   * @param {number} now
   * @returns {Fields | null} what should be sent next; it stays first until `sent` is told
   */
  outgoing(now) {
    if (this.phase !== "open" && now >= this.#lookAt) this.#expire(now);
    if (this.phase === "knocking" && now >= this.#helloAt) return { ...this.#hello, time: now };
    if (this.phase !== "open") return null;
    const isPingDue = now >= this.#pingAt || this.#said - this.#pinged >= PING_BYTES;
    if (isPingDue || (this.#isToAsk && now > this.#greeted)) return { type: "ping", time: now };
    if (this.#said - this.#taken > WINDOW_BYTES) return null;
    for (const message of this.#outbox.values()) return message;
    return this.#frame;
  }

  /**
   * Note that the socket has taken `message`.
   * @param {Fields} message
   * @param {number} bytes
   * @param {number} now
   */
  sent(message, bytes, now) {
    this.counts.sent++;
    this.#said += bytes;
    switch (message.type) {
      case "hello":
        this.#helloAt = now + HELLO_AGAIN;
        this.#greeted = message.time;
        break;
      case "ping":
        if (this.#isToAsk && message.time > this.#greeted) this.#asked = message.time;
        this.#greeted = message.time;
        this.#pingAt = now + PING_INTERVAL;
        this.#pinged = this.#said;
        this.#pings.push({ time: message.time, said: this.#said });
        if (this.#pings.length > MAX_PINGS) this.#pings.shift();
        break;
      case "frame":
        this.counts.framesSent++;
        this.#frame = null;
        break;
      case "bye":
        this.phase = "away";
        break;
      default:
        this.#outbox.delete(keyOf(message));
    }
  }

  /** @param {number} now */
  #open(now) {
    this.phase = "open";
    if (this.#welcomes++ > 0) this.counts.reconnects++;
    this.status = null;
    this.#said = this.#pinged = this.#taken = 0;
    this.#pings = [];
    this.#pingAt = now + PING_INTERVAL;
    this.#expire(now);
    this.#outbox = new Map(this.#kept); // in the order in which things were said
    this.#isBankReady = false;
    this.#news = null;
    for (const [key, message] of this.#kept) if (this.#matters(message)) this.#news = key;
    this.#asked = this.#news === null ? this.#greeted : null;
  }

  /** All that the bank depends on has been sent, and no ping yet that tells it apart. */
  get #isToAsk() {
    return this.#asked === null && (this.#news === null || !this.#outbox.has(this.#news));
  }

  /** @param {Fields} message */
  #matters({ type, name }) {
    return type === "switch" || (type === "event" && !this.#declared.has(name));
  }

  /**
   * This was said last, and the bank depends on it: if it is new, no status tells of it yet.
   * @param {string} key
   * @param {Fields} message
   * @param {Fields | undefined} before what it takes the place of
   */
  #look(key, message, before) {
    const { type, name } = message;
    const isKnown = this.#posted.has(name) || this.#posted.size >= MAX_NAMES;
    if (type === "event" && !isKnown) this.#posted.add(name);
    this.#news = key;
    if (type === "event" ? isKnown : before?.value === message.value) return;
    this.#asked = null;
    this.#isBankReady = false;
  }

  /**
   * @param {number} time of the ping
   * @param {number} now
   */
  #answered(time, now) {
    this.roundTrip = now - time;
    const index = this.#pings.findIndex((ping) => ping.time === time);
    if (index < 0) return;
    this.#taken = this.#pings[index].said;
    this.#pings.splice(0, index + 1);
  }

  /** @param {Fields} event */
  #awaitAck(event) {
    this.#unacked.set(event.id, event);
    if (this.waiting <= MAX_EVENTS) return true;
    for (const oldest of this.#unacked.keys()) {
      this.#giveUp(oldest);
      break;
    }
    const isNews = !this.#isFull;
    this.#isFull = true;
    return !isNews;
  }

  /** @param {number} now */
  #expire(now) {
    this.#lookAt = now + LOOK_INTERVAL;
    for (const [id, event] of this.#unacked) if (now - event.time > this.#ttl) this.#giveUp(id);
  }

  /** @param {number} id */
  #giveUp(id) {
    this.#forget(id);
    this.counts.eventsGivenUp++;
  }

  /**
   * Wait for this event's acknowledgement no longer.
   * @param {number} id
   * @returns {boolean} false: nobody waited
   */
  #forget(id) {
    this.#kept.delete(`event ${id}`);
    this.#outbox.delete(`event ${id}`);
    return this.#unacked.delete(id);
  }
}

/** @param {Fields} message */
function keyOf(message) {
  switch (message.type) {
    case "parameter":
    case "switch":
      return `${message.type} ${message.name}`;
    case "bus": // a gain and a mute said one after the other both count
      return `${message.mute === null ? "gain" : "mute"} ${message.name}`;
    case "push_snapshot":
    case "pop_snapshot":
      return `snapshot ${message.name}`;
    case "event":
      return `event ${message.id}`;
    default:
      return message.type;
  }
}
