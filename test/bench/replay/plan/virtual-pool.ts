/**
 * Carries out in virtual time what a planner decides: workers start, serve after a delay, drain and
 * go. The same acts as those of a cluster's pool, without processes.
 */
import type { PlanAction } from "../../../../actors/planner/pipeline/decision.ts";
import type { PlanRole } from "../../../../actors/planner/pipeline/snapshot.ts";
import type { Timeline } from "../hand-offs.ts";
import { type Fleet, type WorkerLife, workerName, workerNumber } from "./fleet.ts";

export type StartRules = {
  /**
   * From the start of a worker until it serves, in ms; undefined: it never does.
   * @param nth of all workers that are started, from 1 on
   */
  readonly startup_ms: (nth: number) => number | undefined;
  /** The same for a worker that has drained and comes back with another role. */
  readonly role_change_ms: number;
};

/** How an action ended, as a cluster's pool would say it. */
export type ActOutcome = {
  readonly kind: "added" | "gone" | "failed";
  readonly workers: readonly string[];
  readonly why?: string;
};

export type PoolWorld = Timeline & {
  /** It serves from now on. */
  readonly up: (life: WorkerLife) => void;
  /** It is to get nothing new; `retired` is called when it has nothing left. */
  readonly drain: (life: WorkerLife) => void;
};

export class VirtualPool {
  readonly fleet: Fleet;
  readonly #rules: StartRules;
  readonly #world: PoolWorld;
  /** Who comes in the place of a worker that drains into another role. */
  readonly #followers = new Map<number, WorkerLife>();
  /** Who waits for a worker to serve or to go. */
  readonly #watchers = new Map<number, readonly (() => void)[]>();

  constructor(fleet: Fleet, rules: StartRules, world: PoolWorld) {
    this.fleet = fleet;
    this.#rules = rules;
    this.#world = world;
  }

  /** `done` is called once, when all that it asks for has come about or was given up. */
  act(action: PlanAction, done: (outcome: ActOutcome) => void = () => {}): void {
    if (action.kind === "add") {
      const lives = Array.from({ length: action.count }, () => this.#start(action.role));
      this.#whenAll(lives, hasServed, done);
    } else if (action.kind === "change_role") {
      const lives = this.#lives(action.workers);
      const next = lives.flatMap((life) => this.#changeRole(life, action.to));
      this.#whenAll(next, hasServed, done);
    } else {
      const lives = this.#lives(action.workers);
      for (const life of lives) this.#retire(life);
      this.#whenAll(lives, isGone, done);
    }
  }

  /** `goal`: each of them is to come to it. */
  #whenAll(
    lives: readonly WorkerLife[],
    goal: (life: WorkerLife) => boolean,
    done: (outcome: ActOutcome) => void,
  ): void {
    const isOver = (life: WorkerLife) => goal(life) || isGone(life);
    const check = () => {
      if (!lives.every(isOver)) return;
      const workers = lives.map(({ number }) => workerName(number));
      const lost = lives.filter((life) => !goal(life)).length;
      const why = `${lost} of ${lives.length} were given up before they served`;
      if (lost > 0) done({ kind: "failed", workers, why });
      else done({ kind: goal === isGone ? "gone" : "added", workers });
    };
    for (const life of lives) {
      if (isOver(life)) continue;
      const others = this.#watchers.get(life.number) ?? [];
      this.#watchers.set(life.number, [...others, check]);
    }
    check();
  }

  #set(life: WorkerLife, state: WorkerLife["state"]): void {
    this.fleet.set(life, state, this.#world.now_ms());
    // To retire ends no wait.
    if (state === "retiring") return;
    const watchers = this.#watchers.get(life.number) ?? [];
    this.#watchers.delete(life.number);
    for (const watcher of watchers) watcher();
  }

  /** A worker that drained has nothing left. */
  retired(life: WorkerLife): void {
    const now_ms = this.#world.now_ms();
    this.#set(life, "gone");
    const next = this.#followers.get(life.number);
    if (next === undefined || next.state !== "starting") return;
    this.#followers.delete(life.number);
    next.begun_ms = now_ms;
    this.#serveIn(next, this.#rules.role_change_ms);
  }

  #start(role: PlanRole): WorkerLife {
    const life = this.fleet.add(role, "starting", this.#world.now_ms());
    const startup_ms = this.#rules.startup_ms(this.fleet.started);
    if (startup_ms !== undefined) this.#serveIn(life, startup_ms);
    return life;
  }

  #serveIn(life: WorkerLife, delay_ms: number): void {
    const { now_ms, at } = this.#world;
    at(now_ms() + delay_ms, () => {
      // It may have been given up meanwhile.
      if (life.state !== "starting") return;
      this.#world.up(life);
      this.#set(life, "serving");
    });
  }

  #lives(names: readonly string[]): WorkerLife[] {
    return names.flatMap((name) => this.fleet.lives[workerNumber(name)] ?? []);
  }

  #retire(life: WorkerLife): void {
    if (life.state === "starting") this.#set(life, "gone");
    if (life.state !== "serving") return;
    this.#set(life, "retiring");
    this.#world.drain(life);
  }

  /** Who comes in its place. */
  #changeRole(life: WorkerLife, to: PlanRole): readonly WorkerLife[] {
    if (life.state !== "serving") return [];
    const next = this.fleet.add(to, "starting", this.#world.now_ms(), false);
    this.#followers.set(life.number, next);
    this.#retire(life);
    return [next];
  }
}

const isGone = ({ state }: WorkerLife) => state === "gone";
const hasServed = ({ served_ms }: WorkerLife) => !Number.isNaN(served_ms);
