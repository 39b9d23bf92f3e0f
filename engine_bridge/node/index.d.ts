/** Speak to the sound server from Node: say it and forget it. Nothing here makes the game wait. */

/** What the player sees, row by row; copied at once. */
export type Pixels = Uint8Array | Uint8ClampedArray;
export type PixelFormat = "rgb24" | "bgra8" | "rgba8" | "gray8";
export type Layer = "ambience" | "music" | "foley";

/** Metres, right-handed: x to the right, y up, -z ahead. */
export type Vector = readonly [number, number, number];

export interface ParameterSpec {
  name: string;
  /** 0 unless told. */
  minimum?: number;
  /** 1 unless told. */
  maximum?: number;
  /** 0 unless told. */
  default?: number;
}

export interface SwitchSpec {
  name: string;
  values: readonly string[];
}

export interface EventSpec {
  name: string;
  /** What is heard; `{surface}` stands for the switch's value. The name unless told. */
  text?: string;
  /** Takes that are kept ready, 1 to 16; 5 unless told. */
  variations?: number;
  /** Seconds, at most 4; 1 unless told. */
  length?: number;
  gainDb?: number;
  /** "events" unless told; "beds" leaves the event to the generator. */
  bus?: string;
}

/** A bus makes room: while `source` is heard, it is `gainDb` quieter. */
export interface DuckSpec {
  source: string;
  /** -9 unless told. */
  gainDb?: number;
  /** Seconds to give way; 0.05 unless told. */
  attack?: number;
  /** Seconds to come back; 0.5 unless told. */
  release?: number;
}

/** A parent, and what a bus ducks from, come before it. */
export interface BusSpec {
  name: string;
  /** "master" unless told. */
  parent?: string;
  ducks?: readonly DuckSpec[];
}

/** A scene of the mix: gains that are added while it is in. */
export interface SnapshotSpec {
  name: string;
  gainsDb: Readonly<Record<string, number>> | ReadonlyMap<string, number>;
}

export interface PcmSpec {
  /** Samples per second of each channel; 48000 unless told. */
  rate?: number;
  /** Samples of each channel in a piece; 512 unless told. */
  frames?: number;
}

export interface ClientOptions {
  /** The server's address; "tcp://127.0.0.1:7776" unless told. */
  endpoint?: string;
  /** Who speaks, for the server's log. */
  engine?: string;
  parameters?: readonly ParameterSpec[];
  switches?: readonly SwitchSpec[];
  /** A plain name has the defaults of `EventSpec`. */
  events?: readonly (EventSpec | string)[];
  buses?: readonly BusSpec[];
  snapshots?: readonly SnapshotSpec[];
  /** Have the sound sent here, for `readPcm`, instead of being played by the server. */
  pcm?: PcmSpec;
  /** Seconds of sound that are gathered before it is read; 0.03 unless told, 0.1 over Wi-Fi. */
  pcmDepth?: number;
  /** Seconds that an event may wait for a server; 10 unless told. */
  eventTtl?: number;
  /** The engine's monotonic time in seconds, at the pace of real time. */
  clock?: () => number;
  /** Where lines about an absent server and wrong arguments go; `console.warn` unless told. */
  log?: (line: string) => void;
}

export interface Welcome {
  type: "welcome";
  version: number;
  session: string;
  /** Samples per second of the sound. */
  rate: number;
  /** From what is said to what is heard, about. */
  latencyMs: number;
  /** The sound comes here. */
  pcm: boolean;
}

/** These events have arrived. */
export interface Ack {
  type: "ack";
  events: number[];
}

/** Something was not used: `field` was wrong, `message` says what was expected. */
export interface BridgeError {
  type: "error";
  code: string;
  field: string;
  message: string;
}

/** Counts since the server started; PROTOCOL.md says what each means. */
export interface Status {
  type: "status";
  frames: number;
  framesConflated: number;
  prompts: number;
  layers: number;
  parameters: number;
  switches: number;
  events: number;
  buses: number;
  snapshots: number;
  listeners: number;
  errors: number;
  dropped: number;
  unsent: number;
  rtf: number;
  underruns: number;
  bankReady: number;
  bankWanted: number;
  eventsMissed: number;
  eventsLate: number;
  /** Time of the newest hello or ping that the figures from `rtf` on know of. */
  heard: number;
}

export interface Pong {
  type: "pong";
  time: number;
  serverTime: number;
}

export interface Pcm {
  type: "pcm";
  number: number;
  samples: Uint8Array;
}

/** What the server says. `poll` gives all but pongs and sound. */
export type Reply = Welcome | Ack | BridgeError | Status | Pong | Pcm;

/** How the sound gets here; a frame is a sample of each channel. */
export interface PcmStats {
  /** Pieces that came. */
  received: number;
  /** Frames that can be read. */
  waiting: number;
  /** Pieces that never came. */
  lost: number;
  /** Times that there was not enough to read. */
  underruns: number;
  /** Frames left out because too many were waiting. */
  skipped: number;
}

export interface ClientStats {
  /** The transport reaches a server. */
  connected: boolean;
  /** A session is open. */
  welcomed: boolean;
  /** Times that a session was opened or resumed after the first. */
  reconnects: number;
  /** Messages given to the socket, frames among them. */
  sent: number;
  framesSent: number;
  /** Frames that made way for a newer one before the socket could take them. */
  framesReplaced: number;
  /** Events that the server has not acknowledged yet. */
  eventsWaiting: number;
  eventsAcked: number;
  /** Events that found no server in time, or were too many. */
  eventsGivenUp: number;
  /** Error replies, and arguments refused by the client itself. */
  errors: number;
  /** Seconds from the last ping to its pong. */
  roundTrip: number | null;
  /** The session's latest. */
  status: Status | null;
  /** Null without `pcm`. */
  pcm: PcmStats | null;
}

/**
 * One game's connection to the sound server. It connects by itself, again and again, and keeps no
 * process alive.
 *
 * States (prompt, layers, parameters, switches, buses, snapshots, loudness, listener): the newest
 * value counts, and is said again to a server that was restarted. Events arrive once and in order, also
 * over a broken connection; one that finds no server within `eventTtl` is given up and counted, as
 * is the oldest of more than 16,384. Frames: at most one waits, the newest.
 *
 * Wrong arguments do not throw in the middle of a game: they are logged once and come out of `poll`
 * as an error, as do the server's.
 */
export interface Client {
  readonly stats: ClientStats;

  /**
   * Say what should be heard; "" is silence.
   * @param prompt words, or up to three texts and their weights: `{ rain: 3, wind: 1 }`; the first
   *   leads. (An object puts texts that are whole numbers first; a `Map` does not.)
   */
  setPrompt(
    prompt: string | Readonly<Record<string, number>> | ReadonlyMap<string, number>,
    options?: {
      /** How strictly, 1 to 5; left as it is unless told. */
      guidance?: number;
      /** Seconds in which what is heard becomes that. */
      ramp?: number;
    },
  ): void;

  /** Have some layers heard in the endless sound; none is all. */
  setLayers(layers: readonly Layer[]): void;

  /** Move a declared parameter to `value` over `ramp` seconds. */
  setParameter(name: string, value: number, options?: { ramp?: number }): void;

  /** Give a switch one of its values. */
  setSwitch(name: string, value: string): void;

  /** Have something heard once; return its id, which an ack names when it has arrived. */
  postEvent(
    name: string,
    options?: {
      /** On top of the declared gain. */
      gainDb?: number;
      /** In the head unless told. */
      position?: Vector;
      /** How much stands before it: 0 nothing, 1 a thick wall. */
      occlusion?: number;
      /** When, on the engine's clock, a minute ahead at most; now unless told. */
      at?: number;
      /** The declared one unless told. */
      bus?: string;
    },
  ): number;

  /** Make a bus louder or quieter, (un)mute it, or both, over `fade` seconds. */
  setBus(name: string, options: { gainDb?: number; mute?: boolean; fade?: number }): void;

  /** Bring in a declared snapshot of the mix over `fade` seconds; one that is in stays in. */
  pushSnapshot(name: string, options?: { fade?: number }): void;

  /** Let a snapshot of the mix go over `fade` seconds; one that is out stays out. */
  popSnapshot(name: string, options?: { fade?: number }): void;

  /** Have the whole mix steered towards `lufs` (-40 to -10, BS.1770); null is as it comes. */
  setLoudness(lufs: number | null): void;

  /** Say where the ears are, where they look, and where their own top is. */
  setListener(position: Vector, options?: { forward?: Vector; up?: Vector }): void;

  /** Show what the player sees; 128 x 72 at 10 to 15 Hz is plenty. */
  pushFrame(
    pixels: Pixels,
    width: number,
    height: number,
    options?: {
      /** "rgb24" unless told. */
      format?: PixelFormat;
      /** Bytes from row to row; 0 is without padding. */
      stride?: number;
      /** Where the first row is; "top" unless told. */
      origin?: "top" | "bottom";
    },
  ): void;

  /**
   * Return the next `frames` of sound, left and right in turn, in ±1. Never waits; silence while
   * there is none, and without `pcm`.
   */
  readPcm(frames: number): Float32Array;

  /** Return what the server said since the last call: welcomes, acks, errors, status. */
  poll(): Reply[];

  /**
   * Wait until all sounds of declared events are ready; resolves to how many there are. What was
   * said before is counted in: other sounds are wanted after a switch. Rejects when the time is
   * over, and says how far they are or that there is no server; and when the client is closed.
   */
  waitForBank(options?: {
    /** Seconds; 60 unless told. The process lives as long. */
    timeout?: number;
  }): Promise<{ ready: number; wanted: number }>;

  /** Say goodbye if there is a server, and stop. A process that ends then waits 0.1 s at most. */
  close(): void;
}

/** Throws if a declaration is out of its limits, or `endpoint` is no ZeroMQ address. */
export declare const Client: new (options?: ClientOptions) => Client;
