/**
 * One simulated OS process: everything that reaches it comes through a gate. A frozen process
 * (SIGSTOP) gets nothing until it is thawed, a dead one never again; its own state is untouched by
 * either, as no code of it runs.
 */
import type { Clock, Socket, SocketHandlers, Timer } from "../../../runtime/capabilities.ts";
import type { Runnable, Scheduler } from "../../../runtime/kernel/scheduler.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { Simulation } from "../../../runtime/simulation/simulation.ts";
import type { MemoryNet } from "../../../runtime/transport/memory.ts";

export class SimulatedProcess {
  readonly node: string;
  readonly pid: number;
  readonly net: MemoryNet;
  readonly clock: ProcessClock;
  readonly scheduler: Scheduler;
  /** Once it made one. */
  system: ActorSystem | undefined;
  readonly children = new Set<SimulatedProcess>();
  #state: "running" | "frozen" | "dead" = "running";
  #held: (() => void)[] = [];
  readonly #simulation: Simulation;
  /** Called once, at its end. */
  onDeath: () => void = () => {};

  constructor(simulation: Simulation, net: MemoryNet, node: string, pid: number) {
    this.node = node;
    this.pid = pid;
    this.net = net;
    this.#simulation = simulation;
    this.clock = new ProcessClock(simulation.clock, this);
    this.scheduler = new ProcessScheduler(simulation.scheduler, this);
  }

  get alive(): boolean {
    return this.#state !== "dead";
  }

  get frozen(): boolean {
    return this.#state === "frozen";
  }

  /** Whatever comes from outside of this process. */
  deliver(run: () => void): void {
    if (this.#state === "running") run();
    else if (this.#state === "frozen") this.#held.push(run);
  }

  freeze(): void {
    if (this.#state !== "running") return;
    this.#state = "frozen";
    this.net.freeze();
  }

  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "running";
    this.net.thaw();
    // One by one and mixed with the turns of others, as a process that wakes up works it off.
    for (const run of this.#held.splice(0)) {
      this.#simulation.clock.after(0, () => this.deliver(run));
    }
  }

  die(): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    this.#held = [];
    this.clock.stop();
    this.net.kill();
    this.onDeath();
  }
}

/** The simulation's clock as one process has it; its wall clock can be set. */
export class ProcessClock implements Clock {
  wall_offset_ms = 0;
  readonly #base: Clock;
  readonly #process: SimulatedProcess;
  readonly #live = new Set<Timer>();

  constructor(base: Clock, process: SimulatedProcess) {
    this.#base = base;
    this.#process = process;
  }

  /** Timers set and not fired. */
  get pending(): number {
    return this.#live.size;
  }

  now_ms(): number {
    return this.#base.now_ms();
  }

  wall_ms(): number {
    return this.#base.wall_ms() + this.wall_offset_ms;
  }

  after(delay_ms: number, run: () => void): Timer {
    const timer = this.#base.after(delay_ms, () => {
      this.#process.deliver(() => {
        if (this.#live.delete(timer)) run();
      });
    });
    this.#live.add(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    if (this.#live.delete(timer)) this.#base.cancel(timer);
  }

  defer(run: () => void): void {
    this.#base.defer(() => this.#process.deliver(run));
  }

  stop(): void {
    for (const timer of this.#live) this.#base.cancel(timer);
    this.#live.clear();
  }
}

class ProcessScheduler implements Scheduler {
  readonly #base: Scheduler;
  readonly #process: SimulatedProcess;

  constructor(base: Scheduler, process: SimulatedProcess) {
    this.#base = base;
    this.#process = process;
  }

  get quiet(): boolean {
    return this.#base.quiet;
  }

  enqueue(runnable: Runnable): void {
    if (!this.#process.alive) return;
    const process = this.#process;
    this.#base.enqueue({
      id: runnable.id,
      runTurn: (budget) => {
        if (process.alive && !process.frozen) return runnable.runTurn(budget);
        process.deliver(() => this.enqueue(runnable));
        return 0;
      },
    });
  }

  enqueueUrgent(runnable: Runnable): void {
    this.enqueue(runnable);
  }

  idle(): Promise<void> {
    return this.#base.idle();
  }
}

/** A socket's events as its process gets them. */
export function gated(process: SimulatedProcess, handlers: SocketHandlers): SocketHandlers {
  return {
    data: (bytes) => process.deliver(() => handlers.data(bytes)),
    drain: () => process.deliver(() => handlers.drain()),
    close: (reason) => process.deliver(() => handlers.close(reason)),
  };
}

export type { Socket };
