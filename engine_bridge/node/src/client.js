/** What a game says to the sound server; see index.d.ts for what each call means. */

import { randomUUID } from "node:crypto";

import { Wrong } from "./kinds.js";
import { Link, MAX_EVENTS } from "./link.js";
import { MAX_AHEAD, VERSION, checked } from "./messages.js";
import { PcmBuffer } from "./pcm.js";
import { Transport } from "./transport.js";

/** @typedef {import("./kinds.js").Fields} Fields */
/** @typedef {import("../index.d.ts").Reply} Reply */
/** @typedef {import("../index.d.ts").Client} ClientFace */
/** @typedef {import("../index.d.ts").Status} Status */

const ENDPOINT = "tcp://127.0.0.1:7776";
const REPLIES = 256; // unread replies that are kept; older ones are forgotten
const WARNINGS = 64; // different ones that are logged
const PCM_DEPTH = 0.03; // s
const EVENT_TTL = 10.0; // s
const BANK_PATIENCE = 60.0; // s
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @implements {ClientFace} */
export class Client {
  #link;
  #pcm;
  #clock;
  #log;
  #transport;
  #nextId = 1;
  /** @type {Reply[]} */
  #replies = [];
  /** @type {Set<string>} */
  #warned = new Set();
  /** @type {Set<(why?: Error) => void>} who waits for the bank */
  #waiting = new Set();
  #isClosed = false;

  /** @param {import("../index.d.ts").ClientOptions} [options] */
  constructor(options = {}) {
    const {
      endpoint = ENDPOINT,
      pcmDepth = PCM_DEPTH,
      eventTtl = EVENT_TTL,
      clock = () => performance.now() / 1000,
      log = console.warn,
      engine = "node",
      ...declared
    } = options;
    const instance = randomUUID().replaceAll("-", "");
    const about = { ...declared, engine, instance, version: VERSION, time: clock() };
    const hello = checked("hello", about);
    this.#clock = clock;
    this.#log = log;
    this.#pcm = hello.pcm && new PcmBuffer(hello.pcm, pcmDepth);
    this.#link = new Link(hello, eventTtl, this.#pcm);
    this.#transport = new Transport({
      endpoint,
      identity: instance,
      link: this.#link,
      clock,
      note: (reply) => this.#note(reply),
      log,
    });
  }

  get stats() {
    const { counts, waiting, phase, roundTrip, status } = this.#link;
    return {
      connected: this.#transport.isConnected,
      welcomed: phase === "open",
      ...counts,
      eventsWaiting: waiting,
      roundTrip,
      status,
      pcm: this.#pcm?.stats ?? null,
    };
  }

  /** @type {ClientFace["setPrompt"]} */
  setPrompt(prompt, options) {
    this.#say("prompt", { ...options, ...texts(prompt) });
  }

  /** @type {ClientFace["setLayers"]} */
  setLayers(layers) {
    this.#say("layers", { layers });
  }

  /** @type {ClientFace["setParameter"]} */
  setParameter(name, value, options) {
    this.#say("parameter", { ...options, name, value });
  }

  /** @type {ClientFace["setSwitch"]} */
  setSwitch(name, value) {
    this.#say("switch", { name, value });
  }

  /** @type {ClientFace["postEvent"]} */
  postEvent(name, options) {
    const id = this.#nextId++;
    const now = this.#clock();
    const { at = now, ...rest } = options ?? {};
    if (at - now > MAX_AHEAD) {
      this.#refuse(new Wrong("time", `at most ${MAX_AHEAD} s ahead`, at - now));
    } else {
      this.#say("event", { ...rest, id, name, time: at });
    }
    return id;
  }

  /** @type {ClientFace["setBus"]} */
  setBus(name, options) {
    const { gainDb, mute, ...rest } = options ?? {};
    if (gainDb !== undefined || mute === undefined) this.#say("bus", { ...rest, name, gainDb });
    if (mute !== undefined) this.#say("bus", { ...rest, name, mute });
  }

  /** @type {ClientFace["pushSnapshot"]} */
  pushSnapshot(name, options) {
    this.#say("push_snapshot", { ...options, name });
  }

  /** @type {ClientFace["popSnapshot"]} */
  popSnapshot(name, options) {
    this.#say("pop_snapshot", { ...options, name });
  }

  /** @type {ClientFace["setLoudness"]} */
  setLoudness(lufs) {
    this.#say("loudness", { lufs });
  }

  /** @type {ClientFace["setListener"]} */
  setListener(position, options) {
    this.#say("listener", { ...options, position });
  }

  /** @type {ClientFace["pushFrame"]} */
  pushFrame(pixels, width, height, options) {
    const frame = this.#checked("frame", { ...options, pixels, width, height });
    if (frame === null) return;
    this.#link.show(frame);
    this.#transport.flushSoon();
  }

  /** @type {ClientFace["readPcm"]} */
  readPcm(frames) {
    return this.#pcm?.read(frames) ?? new Float32Array(2 * frames);
  }

  /** @type {ClientFace["poll"]} */
  poll() {
    return this.#replies.splice(0);
  }

  /** @type {ClientFace["waitForBank"]} */
  async waitForBank({ timeout = BANK_PATIENCE } = {}) {
    if (!(timeout >= 0)) throw new Wrong("timeout", "seconds, 0 or more", timeout);
    if (this.#isClosed) throw new Error("bank: expected an open client, it is closed");
    if (!this.#link.isBankReady) await this.#untilBankIsReady(timeout);
    const { bankReady: ready, bankWanted: wanted } = /** @type {Status} */ (this.#link.status);
    return { ready, wanted };
  }

  close() {
    this.#isClosed = true;
    this.#transport.close();
    for (const end of this.#waiting) end(new Error("bank: expected an open client, it is closed"));
  }

  /**
   * @param {number} timeout s
   * @returns {Promise<void>}
   */
  #untilBankIsReady(timeout) {
    return new Promise((resolve, reject) => {
      /** @param {Error} [why] */
      const end = (why) => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        if (why === undefined) resolve();
        else reject(why);
      };
      const wait = Math.min(1000 * timeout, LONGEST_TIMER_MS);
      const timer = setTimeout(() => end(new Error(this.#bankTrouble())), wait);
      this.#waiting.add(end);
    });
  }

  #bankTrouble() {
    const { phase, status } = this.#link;
    if (phase !== "open") return "bank: expected a server, none has answered";
    if (status === null || status.bankReady >= status.bankWanted) {
      return "bank: expected a word of it, the server has not said any yet";
    }
    return `bank: expected ${status.bankWanted} sounds, ${status.bankReady} are ready`;
  }

  /**
   * @param {string} type
   * @param {Fields} fields
   */
  #say(type, fields) {
    const message = this.#checked(type, fields);
    if (message === null) return;
    if (!this.#link.say(message)) {
      const why = `expected at most ${MAX_EVENTS} on the way: the oldest are given up`;
      this.#note({ type: "error", code: "full", field: "events", message: why });
    }
    this.#transport.flushSoon();
  }

  /**
   * Make a message within its limits, or put the error where `poll` finds it.
   * @param {string} type
   * @param {Fields} fields
   */
  #checked(type, fields) {
    try {
      return checked(type, { time: this.#clock(), ...fields });
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      this.#refuse(error);
      return null;
    }
  }

  /** @param {Wrong} error */
  #refuse({ field, message }) {
    this.#link.counts.errors++;
    this.#note({ type: "error", code: "invalid", field, message });
  }

  /**
   * Keep a reply for `poll`; log an error, once for each thing that can be wrong.
   * @param {Reply} reply
   */
  #note(reply) {
    this.#replies.push(reply);
    if (this.#replies.length > REPLIES) this.#replies.shift();
    if (this.#link.isBankReady) for (const end of this.#waiting) end();
    if (reply.type !== "error" || this.#warned.size >= WARNINGS) return;
    const about = `${reply.code}: ${reply.field}`;
    if (this.#warned.has(about)) return;
    this.#warned.add(about);
    this.#log(`${about}: ${reply.message}`);
  }
}

/**
 * One text, or texts and their weights, as fields of a prompt.
 * @param {unknown} prompt
 */
function texts(prompt) {
  if (typeof prompt !== "object" || prompt === null) return { text: prompt };
  const [first, ...others] = prompt instanceof Map ? [...prompt] : Object.entries(prompt);
  if (first === undefined) return { text: prompt };
  return { text: first[0], weight: first[1], blend: new Map(others) };
}
