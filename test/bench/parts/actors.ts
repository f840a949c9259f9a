/**
 * The kernel in one process: messages, asks, memory and lives per second. Every case checks that
 * what it counts was done. Alone: `bun test/bench/parts/actors.ts`.
 */

import type { Capabilities, Files, Net, Spawn, Store } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ask } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { type ActorSystem, createSystem } from "../../../runtime/kernel/system.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realIds } from "../../../runtime/real/ids.ts";
import { realRandom } from "../../../runtime/real/random.ts";
import { absent } from "../../support/worlds/test-system.ts";

type Count = { readonly kind: "count"; readonly by: number };
type GetCount = Ask<number> & { readonly kind: "get_count" };

class CounterActor extends Actor<Count | GetCount> {
  #count = 0;

  receive(message: Count | GetCount): void {
    if (message.kind === "count") this.#count += message.by;
    else this.ctx.reply(this.#count);
  }
}

/** With everything a short-lived actor has: an `init`, a `terminate`, a parent and a monitor. */
class Mayfly extends Actor<Count> {
  static born = 0;
  static died = 0;

  override init(): void {
    Mayfly.born++;
  }
  receive(): void {}
  override terminate(): void {
    Mayfly.died++;
  }
}

type Breed = { readonly kind: "breed"; readonly many: number; readonly done: () => void };

/** Spawns and stops children, and monitors each. */
class Breeder extends Actor<Breed> {
  #left = 0;
  #spawned = 0;
  #done: () => void = () => {};

  receive(message: Breed): void {
    this.#done = message.done;
    this.#left = message.many;
    for (let i = 0; i < message.many; i++) {
      const child = this.ctx.spawn(() => new Mayfly(), { name: `mayfly${this.#spawned++}` });
      this.ctx.monitor(child);
      this.ctx.stop(child);
    }
  }
  override down(): void {
    this.#left--;
    if (this.#left === 0) this.#done();
  }
}

class Parent extends Actor<Breed> {
  readonly children: Ref<Count | GetCount>[] = [];

  receive(message: Breed): void {
    for (let i = 0; i < message.many; i++) {
      this.children.push(this.ctx.spawn(() => new CounterActor(), { name: `child${i}` }));
    }
    for (const child of this.children) child.tell({ kind: "count", by: 1 });
    message.done();
  }
}

export async function benchActors(): Promise<Record<string, number>> {
  return {
    tell_per_s: await tellsPerSecond(),
    ask_per_s: await asksPerSecond(),
    bytes_per_actor: await bytesPerActor(),
    spawn_stop_per_s: await spawnStopsPerSecond(),
  };
}

const ROUNDS = 15;

async function tellsPerSecond(): Promise<number> {
  const system = benchSystem();
  const counter = system.spawn(() => new CounterActor(), { name: "counter" });
  const rates: number[] = [];
  let told = 0;
  for (const batch of [10_000, 50_000]) {
    const repeats = 1_000_000 / batch;
    for (let round = 0; round < ROUNDS; round++) {
      const start_ms = performance.now();
      for (let repeat = 0; repeat < repeats; repeat++) {
        for (let i = 0; i < batch; i++) counter.tell({ kind: "count", by: 1 });
        told += batch;
        const count = await system.ask(counter, { kind: "get_count" }, { deadline_ms: 10_000 });
        check(count === told, `${told} tells, ${count} handled`);
      }
      rates.push((batch * repeats * 1000) / (performance.now() - start_ms));
    }
  }
  await system.shutdown();
  return Math.round(median(rates));
}

/** One after the other, each with a deadline and a trace. */
async function asksPerSecond(): Promise<number> {
  const system = benchSystem();
  const counter = system.spawn(() => new CounterActor(), { name: "counter" });
  const trace = {
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
    flags: 1,
  };
  const asks = 200_000;
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start_ms = performance.now();
    for (let i = 0; i < asks; i++) {
      await system.ask(counter, { kind: "get_count" }, { deadline_ms: 1_000, trace });
    }
    rates.push((asks * 1000) / (performance.now() - start_ms));
  }
  check(system.counters.asks === asks * ROUNDS, "an ask was lost");
  await system.shutdown();
  return Math.round(median(rates));
}

/** Children of one actor that have each handled a message and now wait. */
async function bytesPerActor(): Promise<number> {
  const system = benchSystem();
  const many = 100_000;
  const parent = system.spawn(() => new Parent(), { name: "parent" });
  await settle(system);
  const before = process.memoryUsage();
  await new Promise<void>((done) => parent.tell({ kind: "breed", many, done }));
  await settle(system);
  const after = process.memoryUsage();
  check(system.tree().length === many + 1, "an actor is missing");
  await system.shutdown();
  const heap_bytes = after.heapUsed - before.heapUsed;
  const resident_bytes = after.rss - before.rss;
  return Math.round(Math.max(heap_bytes, resident_bytes) / many);
}

async function spawnStopsPerSecond(): Promise<number> {
  const system = benchSystem();
  const breeder = system.spawn(() => new Breeder(), { name: "breeder" });
  const many = 1_000;
  const repeats = 100;
  const rates: number[] = [];
  Mayfly.born = 0;
  Mayfly.died = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start_ms = performance.now();
    for (let repeat = 0; repeat < repeats; repeat++) {
      await new Promise<void>((done) => breeder.tell({ kind: "breed", many, done }));
    }
    rates.push((many * repeats * 1000) / (performance.now() - start_ms));
  }
  check(Mayfly.died === many * repeats * ROUNDS, "an actor did not end");
  check(system.tree().length === 1, "an actor is left in the tree");
  await system.shutdown();
  return Math.round(median(rates));
}

function benchSystem(): ActorSystem {
  const capabilities: Capabilities = {
    clock: realClock(),
    random: realRandom(),
    ids: realIds(),
    log: { log: (_level, message) => console.error(message) },
    net: absent<Net>("net"),
    spawn: absent<Spawn>("spawn"),
    files: absent<Files>("files"),
    store: absent<Store>("store"),
  };
  return createSystem({ node: "bench", capabilities });
}

async function settle(system: ActorSystem): Promise<void> {
  await system.idle();
  for (let i = 0; i < 3; i++) {
    Bun.gc(true);
    await Bun.sleep(20);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

function check(ok: boolean, otherwise: string): asserts ok {
  if (!ok) throw new Error(otherwise);
}

if (import.meta.main) {
  console.log(JSON.stringify({ bench: "actors", case: "one process", ...(await benchActors()) }));
}
