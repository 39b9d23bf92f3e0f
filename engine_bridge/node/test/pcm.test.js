/** Sound that is whole and in order, faded where it begins, ends or is cut. */

import assert from "node:assert/strict";
import test from "node:test";

import { PcmBuffer } from "../src/pcm.js";

const RATE = 48_000;
const FRAMES = 480;
const FADE = 192;

function makeBuffer(depth = 0.03) {
  return new PcmBuffer({ rate: RATE, frames: FRAMES }, depth);
}

/**
 * @param {number} number
 * @param {number} value
 */
function piece(number, value = 1) {
  const samples = new Float32Array(2 * FRAMES).fill(value);
  return { number, samples: new Uint8Array(samples.buffer) };
}

/** @param {Float32Array[]} parts */
function left(parts) {
  return parts.flatMap((part) => [...part].filter((_, index) => index % 2 === 0));
}

/** @param {number[]} sound */
function steepest(sound) {
  return Math.max(...sound.map((sample, index) => Math.abs(sample - (sound[index - 1] ?? 0))));
}

test("what is read is what was sent", () => {
  const buffer = makeBuffer();
  const sent = new Float32Array(20 * 2 * FRAMES).map((_, index) => Math.sin(index));
  const heard = [];
  for (let number = 0; number < 20; number++) {
    const samples = sent.slice(number * 2 * FRAMES, (number + 1) * 2 * FRAMES);
    buffer.push({ number, samples: new Uint8Array(samples.buffer) });
    if (number === 2) heard.push(buffer.read(100)); // three are the depth
    if (number > 2) heard.push(buffer.read(479)); // no multiple of anything
  }
  const whole = heard.flatMap((part) => [...part]);
  assert.deepEqual(whole.slice(2 * FADE), [...sent.slice(2 * FADE, whole.length)]);
  assert.equal(whole[0], 0);
  assert.deepEqual(buffer.stats, {
    received: 20, waiting: 20 * FRAMES - whole.length / 2, lost: 0, underruns: 0, skipped: 0,
  });
});

test("nothing is read before there is enough to go on", () => {
  const buffer = makeBuffer();
  for (const [number, loudest] of [[0, 0], [1, 0], [2, 1]]) {
    buffer.push(piece(number));
    assert.equal(Math.max(...buffer.read(FRAMES)), loudest);
  }
});

for (const frames of [64, 480, 1000, 5000]) {
  test(`running dry fades out and coming back fades in, read by ${frames}`, () => {
    const buffer = makeBuffer();
    const heard = [];
    for (let number = 0; number < 8; number++) {
      buffer.push(piece(number));
      if (number % 4 < 3) continue;
      for (let read = 0; read < 4 * FRAMES + 8 * frames; read += frames) {
        heard.push(buffer.read(frames));
      }
    }
    const sound = left(heard);
    assert(steepest(sound) < 1.02 / FADE, `${steepest(sound)}`);
    assert.equal(sound.at(-1), 0);
    assert.equal(Math.max(...sound), 1);
    assert.deepEqual([buffer.stats.underruns, buffer.stats.waiting], [2, 0]);
  });
}

test("what piles up is left out without a click", () => {
  const buffer = makeBuffer();
  const heard = [];
  let number = 0;
  for (const [pieces, value] of [[3, 1], [20, 1], [20, -0.5]]) {
    for (let index = 0; index < pieces; index++) buffer.push(piece(number++, value));
    heard.push(buffer.read(FRAMES), buffer.read(FRAMES));
    if (pieces === 20) assert.equal(buffer.stats.waiting, FRAMES);
  }
  assert(steepest(left(heard)) < 3 / FADE);
  assert(buffer.stats.skipped > 0.8 * 40 * FRAMES);
  assert.equal(buffer.stats.underruns, 0);
});

test("a missing piece is counted and another stream is not", () => {
  const buffer = makeBuffer();
  for (const number of [0, 1, 4, 5, 0, 1]) buffer.push(piece(number));
  assert.equal(buffer.stats.lost, 2);
});
