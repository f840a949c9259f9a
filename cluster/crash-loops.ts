/**
 * Processes in a crash loop. Their slots try them again slowly; this file tells operators: once in
 * the log and, while the loop lasts, in the metrics and in the registry, from which every
 * frontend's `/health` reads it.
 */

import { describeExit } from "../runtime/kernel/exit-reason.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { LoopChange } from "../runtime/supervision/child-spec.ts";
import { slotPace } from "../supervisors/process-slot.ts";
import { type Discovery, keys } from "./discovery.ts";
import { announce } from "./keep-registered.ts";

const METRIC = "troupe_process_crash_loop";

export class CrashLoops {
  readonly #system: ActorSystem;
  readonly #discovery: Discovery;
  readonly #looping = new Set<string>();

  constructor(system: ActorSystem, discovery: Discovery) {
    this.#system = system;
    this.#discovery = discovery;
  }

  /** Watches a slot that is about to start. */
  watch(slot: string): void {
    this.#system.metrics
      .gauge(METRIC, "1 while a process keeps ending and is tried slowly.", {
        process: slot,
      })
      .readWith(() => (this.#looping.has(slot) ? 1 : 0));
  }

  /** The slot is gone for good. */
  unwatch(slot: string): void {
    this.#over(slot);
    this.#system.metrics.remove(METRIC, { process: slot });
  }

  /** @param path of the slot's supervisor */
  take(slot: string, path: string, { loops, reason }: LoopChange): void {
    const { log } = this.#system.capabilities;
    const key = keys.loop(slot);
    if (!loops) {
      this.#over(slot);
      return;
    }
    this.#looping.add(slot);
    log.log("error", loopText(slot, `${this.#system.node}${path}/process`, describeExit(reason)));
    const self = this.#system.lookup(path);
    if (self === undefined) return;
    // A slot that is killed does not tell the end of its loop.
    this.#system.onDown(self, () => this.#over(slot));
    const wanted = () => this.#looping.has(slot) && this.#system.lookup(path) === self;
    void announce(this.#system, this.#discovery, key, self, wanted).then(() => {
      if (!this.#looping.has(slot)) this.#discovery.deregister(key);
    });
  }

  #over(slot: string): void {
    if (!this.#looping.delete(slot)) return;
    this.#discovery.deregister(keys.loop(slot));
    this.#system.capabilities.log.log("info", `${slot} does not keep ending any more`);
  }
}

function loopText(slot: string, id: string, last: string): string {
  const { intensity, period_ms, crash_loop } = slotPace;
  const { max_ms, jitter } = crash_loop;
  const from_s = (max_ms * (1 - jitter)) / 1_000;
  return (
    `${slot} keeps ending, more than ${intensity} times within ${period_ms / 1_000} s: it is tried ` +
    `again more and more slowly, every ${from_s} to ${max_ms / 1_000} s in the end, until it lives. ` +
    `Its last end: ${last}. Repair that; POST /api/actors/${encodeURIComponent(id)}/restart of the ` +
    "inspector tries at once"
  );
}
