/**
 * The sound on its way into a program that does the playing itself: a jitter buffer.
 *
 *     transport --push--> |=== depth ===| --read--> whatever plays
 *
 * Pieces come at the pace of the server's clock and are read at the pace of the player's. What
 * comes too late leaves a gap; what piles up, as the clocks drift apart, is left out. Both are
 * faded and counted. Samples are interleaved: left, right.
 */

const CHANNELS = 2;
const FADE = 0.004; // s

export class PcmBuffer {
  #depth;
  #most;
  #fade;
  /** @type {Float32Array[]} */
  #pieces = [];
  #waiting = 0;
  #isFlowing = false;
  #risen = 0; // frames since the sound began: it fades in
  #falling = new Float32Array(0); // what is still fading out
  #last = new Float32Array(CHANNELS);
  #expected = 0;
  #received = 0;
  #lost = 0;
  #underruns = 0;
  #skipped = 0;

  /**
   * @param {{rate: number, frames: number}} spec what was asked for
   * @param {number} depth seconds that are gathered before the first is read, and after an underrun
   */
  constructor({ rate, frames }, depth) {
    this.#depth = Math.max(frames, Math.round(depth * rate));
    this.#most = 2 * (this.#depth + frames);
    this.#fade = Math.round(FADE * rate);
  }

  /** @returns {import("../index.d.ts").PcmStats} */
  get stats() {
    return {
      received: this.#received,
      waiting: this.#waiting,
      lost: this.#lost,
      underruns: this.#underruns,
      skipped: this.#skipped,
    };
  }

  /**
   * Take in what the server sent; a number that is too low begins another stream.
   * @param {{number: number, samples: Uint8Array}} piece
   */
  push({ number, samples }) {
    this.#lost += Math.max(0, number - this.#expected);
    this.#expected = number + 1;
    this.#received++;
    const aligned = new Uint8Array(samples); // a view of floats must begin at a multiple of four
    this.#pieces.push(new Float32Array(aligned.buffer));
    this.#waiting += samples.length / (4 * CHANNELS);
  }

  /**
   * @param {number} frames
   * @returns {Float32Array} the next `frames`, in ±1; silence while there is nothing to hear
   */
  read(frames) {
    const out = new Float32Array(frames * CHANNELS);
    const falling = this.#falling;
    this.#falling = new Float32Array(0);
    this.#fadeOut(out, 0, falling);
    if (!this.#isFlowing && this.#waiting >= this.#depth) {
      this.#isFlowing = true;
      this.#risen = 0;
    }
    if (this.#isFlowing) this.#play(out);
    if (frames > 0) this.#last = out.slice(-CHANNELS);
    return out;
  }

  /** @param {Float32Array} out */
  #play(out) {
    if (this.#waiting > this.#most) this.#skip(out);
    const sound = this.#take(out.length / CHANNELS);
    for (let index = 0; index < sound.length; index++) {
      const risen = this.#risen + Math.floor(index / CHANNELS);
      out[index] += Math.min(1, risen / this.#fade) * sound[index];
    }
    this.#risen += sound.length / CHANNELS;
    if (sound.length === out.length) return;
    this.#underruns++;
    this.#isFlowing = false;
    const end = sound.length > 0 ? out.slice(sound.length - CHANNELS, sound.length) : this.#last;
    const held = new Float32Array(this.#fade * CHANNELS);
    for (let index = 0; index < held.length; index++) held[index] = end[index % CHANNELS];
    this.#letGo(out, sound.length, held);
  }

  /**
   * Leave out what is too much, under a fade.
   * @param {Float32Array} out
   */
  #skip(out) {
    this.#skipped += this.#waiting - this.#depth;
    const level = Math.min(1, this.#risen / this.#fade);
    this.#letGo(out, 0, this.#take(this.#fade).map((sample) => level * sample));
    this.#take(this.#waiting - this.#depth);
    this.#risen = 0;
  }

  /**
   * @param {number} frames at most so many
   * @returns {Float32Array} what comes next
   */
  #take(frames) {
    const taken = new Float32Array(Math.min(frames, this.#waiting) * CHANNELS);
    let done = 0;
    while (done < taken.length) {
      const piece = this.#pieces[0];
      const part = piece.subarray(0, taken.length - done);
      taken.set(part, done);
      done += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#waiting -= taken.length / CHANNELS;
    return taken;
  }

  /**
   * Fade `samples` out from sample `at` of `out` on.
   * @param {Float32Array} out
   * @param {number} at
   * @param {Float32Array} samples
   */
  #letGo(out, at, samples) {
    const last = samples.length / CHANNELS - 1;
    const fallen = samples.map(
      (sample, index) => (1 - Math.floor(index / CHANNELS) / Math.max(1, last)) * sample,
    );
    this.#fadeOut(out, at, fallen);
  }

  /**
   * Add what is fading out to `out` from `at` on, and keep what goes beyond its end.
   * @param {Float32Array} out
   * @param {number} at
   * @param {Float32Array} falling
   */
  #fadeOut(out, at, falling) {
    const now = Math.min(out.length - at, falling.length);
    for (let index = 0; index < now; index++) out[at + index] += falling[index];
    const rest = falling.slice(now);
    const [short, long] =
      rest.length < this.#falling.length ? [rest, this.#falling] : [this.#falling, rest];
    for (let index = 0; index < short.length; index++) long[index] += short[index];
    this.#falling = long;
  }
}
