/**
 * Carries what a Link has to say to the server, and the answers back.
 *
 *     Link --outgoing--> Dealer   (one for each connection: a new one is made when it breaks)
 *          <--receive--`
 *
 * zeromq waits for a message by a handle that keeps the process alive, and aborts a process that
 * ends meanwhile. So nothing here waits: a timer that keeps nobody alive looks what there is. With
 * no limit on what a socket holds, it can be written to if and only if it is connected; it does not
 * connect again by itself, so that no break goes unseen.
 */

import { Dealer } from "zeromq";

import { MAX_MESSAGE_BYTES, decodeReply, encode } from "./messages.js";

const TICK_MS = 5;
const READS = 1024; // in a tick: a flood must not keep the game waiting
const LEAST_PATIENCE_MS = 100; // for a connection to come about
const MOST_PATIENCE_MS = 1000;
const GOODBYE_MS = 100; // that a process that ends waits for the last messages to leave

export class Transport {
  #endpoint;
  #identity;
  #link;
  #clock;
  #note;
  #log;
  #socket;
  #timer;
  #isConnected = false;
  #isFlushing = false;
  #isClosed = false;
  #patience = LEAST_PATIENCE_MS;
  #giveUpAt = 0;
  #toldAbsent = false;

  /**
   * @param {object} about
   * @param {string} about.endpoint
   * @param {string} about.identity the routing id of this run
   * @param {import("./link.js").Link} about.link
   * @param {() => number} about.clock the engine's time in seconds
   * @param {(reply: import("../index.d.ts").Reply) => void} about.note is given each reply but
   *   pongs and sound
   * @param {(line: string) => void} about.log
   * @throws {Error} `endpoint` is no ZeroMQ address
   */
  constructor({ endpoint, identity, link, clock, note, log }) {
    this.#endpoint = endpoint;
    this.#identity = identity;
    this.#link = link;
    this.#clock = clock;
    this.#note = note;
    this.#log = log;
    this.#socket = this.#connect();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  get isConnected() {
    return this.#isConnected;
  }

  /** Send what there is as soon as the game has said all that it says now. */
  flushSoon() {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#write();
    });
  }

  /** Say goodbye if there is a server, and stop. */
  close() {
    if (this.#isClosed) return;
    clearInterval(this.#timer);
    if (this.#link.phase === "open") {
      this.#write();
      this.#send({ type: "bye", time: this.#clock() });
      this.#socket.linger = GOODBYE_MS;
    }
    this.#isClosed = true;
    this.#isConnected = false;
    this.#socket.close();
  }

  #connect() {
    const socket = new Dealer({
      routingId: this.#identity,
      immediate: true, // no queue without a connection: what to send again is ours to say
      sendHighWaterMark: 0,
      sendTimeout: 0,
      receiveTimeout: 0,
      reconnectInterval: -1,
      maxMessageSize: MAX_MESSAGE_BYTES,
      heartbeatInterval: 1000,
      heartbeatTimeout: 2500,
      linger: 0,
    });
    try {
      socket.connect(this.#endpoint);
    } catch (cause) {
      socket.close();
      throw new Error(`endpoint: expected a ZeroMQ address, got "${this.#endpoint}"`, { cause });
    }
    this.#giveUpAt = performance.now() + this.#patience;
    return socket;
  }

  #tick() {
    const isWritable = this.#socket.writable;
    if (isWritable && !this.#isConnected) {
      this.#isConnected = true;
      this.#patience = LEAST_PATIENCE_MS;
      this.#link.connected(this.#clock());
    } else if (!isWritable && this.#isConnected) {
      this.#tellAbsent(this.#link.phase === "open" ? "has gone" : "does not answer");
      this.#isConnected = false;
      this.#link.disconnected();
      this.#again();
    } else if (!isWritable && performance.now() >= this.#giveUpAt) {
      if (this.#patience === MOST_PATIENCE_MS) this.#tellAbsent("does not answer");
      this.#patience = Math.min(2 * this.#patience, MOST_PATIENCE_MS);
      this.#again();
    }
    this.#read();
    this.#write();
  }

  #again() {
    this.#socket.close();
    this.#socket = this.#connect();
  }

  #read() {
    const socket = this.#socket;
    for (let count = 0; count < READS && socket.readable; count++) {
      socket.receive().then(([data]) => this.#take(data), ignore);
    }
  }

  /** @param {Buffer} data */
  #take(data) {
    const reply = decodeReply(data);
    if (reply === null || this.#isClosed) return;
    this.#link.receive(reply, this.#clock());
    if (reply.type === "welcome") {
      this.#toldAbsent = false;
      this.flushSoon();
    }
    if (reply.type !== "pong" && reply.type !== "pcm") this.#note(reply);
  }

  #write() {
    while (!this.#isClosed) {
      const message = this.#link.outgoing(this.#clock());
      if (message === null) return;
      this.#send(message);
    }
  }

  /**
   * What a broken connection does not take is said again over the next.
   * @param {import("./kinds.js").Fields} message
   */
  #send(message) {
    const data = encode(message);
    this.#socket.send(data).catch(ignore);
    this.#link.sent(message, data.length, this.#clock());
  }

  /** @param {string} what */
  #tellAbsent(what) {
    if (this.#toldAbsent) return;
    this.#toldAbsent = true;
    this.#log(`the sound server at ${this.#endpoint} ${what}; trying on`);
  }
}

function ignore() {}
