/** Actor systems for kernel tests: virtual time, seeded randomness, a log one can read. */

import type {
  Capabilities,
  Files,
  Log,
  LogLevel,
  Net,
  Spawn,
} from "../../../runtime/capabilities.ts";
import {
  type ActorSystem,
  createSystem,
  type SystemOptions,
} from "../../../runtime/kernel/system.ts";
import { countingIds, forkRandom, SeededRandom } from "../../../runtime/simulation/random.ts";
import type { Simulation } from "../../../runtime/simulation/simulation.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import type { Backoff } from "../../../runtime/supervision/child-spec.ts";

/** As OTP: a failed child is restarted at once. */
export const noBackoff: Backoff = { first_ms: 0, max_ms: 0, factor: 1, jitter: 0 };

export type LogLine = { level: LogLevel; message: string; fields: Record<string, unknown> };

export class MemoryLog implements Log {
  readonly lines: LogLine[] = [];

  log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
    this.lines.push({ level, message, fields });
  }
}

/** A capability this test does not hand in: using it is a bug of the test. */
export function absent<T extends object>(name: string): T {
  return new Proxy({} as T, {
    get(_target, property) {
      throw new Error(`this test hands in no ${name}, but ${name}.${String(property)} was used`);
    },
  });
}

export type TestSystem = {
  readonly system: ActorSystem;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly log: MemoryLog;
};

/** @param world capabilities beside the clock, randomness and the log */
export function testSystem(
  seed = 1,
  options: Partial<SystemOptions> = {},
  world: Partial<Capabilities> = {},
): TestSystem {
  const clock = new VirtualClock();
  const made = build("test", clock, new SeededRandom(seed), options, world);
  clock.settle = () => made.system.idle();
  return { clock, ...made };
}

/** One node of a simulated world. */
export function simulatedSystem(simulation: Simulation, node: string): Omit<TestSystem, "clock"> {
  const { scheduler, clock } = simulation;
  return build(node, clock, forkRandom(simulation.random), { scheduler });
}

function build(
  node: string,
  clock: VirtualClock,
  random: SeededRandom,
  options: Partial<SystemOptions>,
  world: Partial<Capabilities> = {},
): Omit<TestSystem, "clock"> {
  const log = new MemoryLog();
  const capabilities: Capabilities = {
    clock,
    random,
    log,
    ids: countingIds(`${node}-`),
    net: absent<Net>("net"),
    spawn: absent<Spawn>("spawn"),
    files: absent<Files>("files"),
    store: new MemoryStore(),
    ...world,
  };
  const system = createSystem({ node, capabilities, ...options });
  return { system, random, log };
}
