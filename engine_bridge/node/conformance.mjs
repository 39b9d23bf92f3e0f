/** The conformance scenario, as every client plays it; the argument is the endpoint. */

import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "diegetic-bridge";

const TICK_MS = 10;
const PATIENCE_MS = 20_000;
const EVENTS = 1001;
const RATE = 48_000;

const client = new Client({
  endpoint: process.argv[2],
  engine: "node",
  parameters: [{ name: "threat", minimum: 0, maximum: 1 }],
  switches: [{ name: "surface", values: ["grass", "stone"] }],
  events: ["shot", { name: "footstep", text: "footstep on {surface}", variations: 2 }],
  buses: [{ name: "voices", parent: "events" }],
  snapshots: [{ name: "pause", gainsDb: { beds: -12 } }],
  pcm: { rate: RATE, frames: 512 },
});

let isHeard = false;

async function tick() {
  client.poll();
  isHeard ||= client.readPcm((RATE * TICK_MS) / 1000).some((sample) => sample !== 0);
  await sleep(TICK_MS);
}

/**
 * @param {string} what
 * @param {() => boolean} condition
 */
async function wait(what, condition) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) {
      console.error(`waited in vain for ${what}: ${JSON.stringify(client.stats)}`);
      process.exit(1);
    }
    await tick();
  }
}

await wait("welcome", () => client.stats.welcomed);
client.setPrompt("rain on a tin roof", { guidance: 3 });
client.setLayers(["ambience"]);
for (let k = 1; k <= 100; k++) {
  client.setParameter("threat", k / 100);
  client.pushFrame(new Uint8Array(8 * 8 * 3).fill(k), 8, 8);
  for (let j = 0; j < 10; j++) {
    const gainDb = -(k % 20);
    if (j % 2) client.postEvent("shot", { gainDb });
    else client.postEvent("shot", { gainDb, position: [k, 0, -j], occlusion: 0.25 });
  }
  await tick();
}
client.setSwitch("surface", "stone");
client.postEvent("footstep");
client.setBus("voices", { gainDb: -6, fade: 0.5 });
client.pushSnapshot("pause", { fade: 0.1 });
client.popSnapshot("pause");
client.setLoudness(-18);
client.setListener([1, 2, 3]);
client.setPrompt({ rain: 3, wind: 1 }, { ramp: 2 });
await wait("all events to arrive", () => client.stats.eventsAcked === EVENTS);
await client.waitForBank({ timeout: PATIENCE_MS / 1000 });
await wait("20 pieces of sound", () => (client.stats.pcm?.received ?? 0) >= 20 && isHeard);
const { eventsAcked: acked, eventsGivenUp, reconnects } = client.stats;
client.close();
console.log(JSON.stringify({ acked, given_up: eventsGivenUp, reconnects, pcm_nonzero: isHeard }));
