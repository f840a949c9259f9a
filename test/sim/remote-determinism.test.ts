/** Two nodes in the simulator: the same seed gives the same run, and no order loses a message. */
import { expect, test } from "bun:test";
import { Actor } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { joinNode, refOf, wireOf } from "../../runtime/remote/node.ts";
import { forkRandom } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { MemoryNetwork, memoryTransport } from "../../runtime/transport/memory.ts";
import { note, probe, type TestMessage, testCodecs } from "../support/worlds/remote-child.ts";
import { simulatedSystem } from "../support/worlds/test-system.ts";

class Counter extends Actor<TestMessage> {
  readonly numbers: number[] = [];
  override receive(message: TestMessage): void {
    if (message.kind === "note") this.numbers.push(message.fraction);
    else this.ctx.reply(note("seen", this.numbers.length));
  }
}

/** Tells as many notes as it is asked to, and asks after every tenth. */
class Teller extends Actor<TestMessage> {
  readonly answers: number[] = [];
  readonly #far: () => Ref<TestMessage>;
  constructor(far: () => Ref<TestMessage>) {
    super();
    this.#far = far;
  }
  override async receive(message: TestMessage): Promise<void> {
    const far = this.#far();
    for (let i = 1; i <= message.fraction; i++) {
      far.tell(note("n", i));
      if (i % 10 !== 0) continue;
      const seen = await this.ctx.ask(far, probe("seen"), { deadline_ms: 10_000 });
      this.answers.push(seen.fraction);
    }
  }
}

async function run(seed: number): Promise<{ hash: string; numbers: number[]; answers: number[] }> {
  const simulation = new Simulation(seed);
  const options = { delay_ms_max: 5, split_bytes_max: 64 };
  const network = new MemoryNetwork(simulation.clock, forkRandom(simulation.random), options);
  const limits = { frame_limit_bytes: 1 << 20, queue_limit_bytes: 1 << 20 };
  const node = async (name: string) => {
    const { system } = simulatedSystem(simulation, name);
    const transports = [memoryTransport(network.net(), limits)];
    const remote = await joinNode(system, {
      transports,
      codecs: testCodecs,
      listen: `memory:${name}`,
    });
    return { system, remote };
  };
  const [a, b] = [await node("a"), await node("b")];
  const counter = new Counter();
  const far = b.system.spawn(() => counter, { name: "counter" });
  const teller: Teller = new Teller(() => refOf(a.system, wireOf(b.system, far)));
  a.system.spawn(() => teller, { name: "teller" }).tell(note("go", 50));
  await simulation.run(3_000);
  a.remote.close();
  b.remote.close();
  return { hash: simulation.trace_hash, numbers: counter.numbers, answers: teller.answers };
}

test("the same seed gives the same run, another seed another one; each is complete", async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 10; seed++) {
    const [first, second] = [await run(seed), await run(seed)];
    expect(second).toEqual(first);
    expect(first.numbers).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(first.answers).toEqual([10, 20, 30, 40, 50]);
    hashes.add(first.hash);
  }
  expect(hashes.size).toBe(10);
});
