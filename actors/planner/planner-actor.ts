/**
 * The planner of one model. A tick observes, decides by a pure function, and has its decision in
 * the journal before anything of it is asked for; what was begun goes on beside the next ticks.
 *
 *   new epoch   older planners are refused ─▶ journal read ─▶ what is pending is asked again
 *   each tick   look ─▶ tick (pure) ─▶ journal ─▶ Connector ─ ─ ▶ settled
 *
 * Only the planner that has the model's name in the registry decides; the others wait for its end.
 */
import { errorText } from "../../runtime/error-text.ts";
import { Actor, type Snapshot } from "../../runtime/kernel/actor.ts";
import { Changes, type EndedChange } from "./changes.ts";
import type { Connector } from "./connect/connector.ts";
import { JournalTakenError, type PlannerJournal } from "./journal/journal.ts";
import { type JournalRecord, withDecision } from "./journal/record.ts";
import { PlanMetrics } from "./outside/plan-metrics.ts";
import type { PlannerConfig } from "./pipeline/config.ts";
import type { Decision } from "./pipeline/decision.ts";
import { firstWorkerMs } from "./pipeline/first-worker.ts";
import { type PlannerState, settled, withoutLearning } from "./pipeline/planner-state.ts";
import type { PlanSnapshot } from "./pipeline/snapshot.ts";
import { type PlannerParts, type Ticked, tick } from "./pipeline/tick.ts";
import { tickSeconds } from "./pipeline/tick-seconds.ts";
import type { PlanHead, PlanStanding } from "./report/plan-page.ts";
import { PlanTeller } from "./report/plan-teller.ts";

/** What a planner sees: the cluster's own figures, or somebody else's. */
export interface Observer {
  /** Undefined: too little is known; nothing is decided then. */
  look(): Promise<PlanSnapshot | undefined>;
  /** What came before the next look is not of its interval. */
  forget(): void;
}

export type PlannerOptions = {
  readonly model: string;
  /** Some of it may be another one at each tick. */
  readonly config: PlannerConfig;
  /** Reads what was changed of the configuration while another planner decided. */
  readonly reload?: () => Promise<void>;
  readonly parts: PlannerParts;
  readonly observer: Observer;
  readonly connector: Connector;
  readonly journal: PlannerJournal;
  /**
   * How long a request may wait for the model's first worker, in ms; undefined: none is on its way.
   * Called with each tick, and when this planner decides no more.
   */
  readonly tellFirstWorker?: (wait_ms: number | undefined) => void;
  /** Ends what connector and observer hold. */
  readonly close?: () => void;
  /** The epoch under which this actor decides; undefined: another planner does, or nobody yet. */
  readonly epoch: () => number | undefined;
  /** Who has the model's name while this actor does not decide. */
  readonly holder: () => NameHolder;
};

/** last_life: the planner that was in this process, or in the one before it in its slot. */
export type NameHolder = "nobody" | "last_life" | "another";

type Turn<Kind extends string, Rest> = { readonly kind: Kind; readonly turn: number } & Rest;
export type PlannerMessage =
  | { readonly kind: "tick" }
  | Turn<"taken_over", { readonly epoch: number; readonly record: JournalRecord }>
  | Turn<"seen", { readonly snapshot: PlanSnapshot | undefined }>
  | Turn<"written", { readonly ticked: Ticked; readonly decisions: readonly Decision[] }>
  | Turn<"failed", { readonly why: string; readonly taken: boolean }>
  | ({ readonly kind: "ended" } & EndedChange);

/** A tick that takes longer counts for nothing. */
const TICK_MOST_MS = 30_000;
const ENDED_MAX = 16;

export class PlannerActor extends Actor<PlannerMessage> {
  readonly #options: PlannerOptions;
  #changes: Changes | undefined;
  /** 0: it decides nothing. */
  #epoch = 0;
  #state: PlannerState | undefined;
  #decisions: readonly Decision[] = [];
  /** Ends that came while a decision was being written. */
  #late: EndedChange[] | undefined;
  #ended: (EndedChange & { readonly at_ms: number })[] = [];
  #teller: PlanTeller | undefined;
  #metrics: PlanMetrics | undefined;
  /** Of the tick under way, or the last one. */
  #snapshot: PlanSnapshot | undefined;
  /** Nobody said how the model does. */
  #blind = false;
  #since_ms = 0;
  #turn = 0;
  /** When the tick under way began. */
  #under_way_ms: number | undefined;
  #ticks = 0;
  #dropped = 0;
  #skipped = 0;
  #trouble = "";

  constructor(options: PlannerOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    const { self, clock, capabilities, system } = this.ctx;
    this.#metrics = new PlanMetrics(system.metrics, this.#options.model);
    this.#teller = new PlanTeller(capabilities, () => this.#head(), clock.now_ms());
    this.#changes = new Changes(this.#options.connector, (ended) => {
      self.tell({ kind: "ended", ...ended });
    });
    this.ctx.every(1_000 * tickSeconds(this.#options.config), { kind: "tick" });
    self.tell({ kind: "tick" });
  }

  override receive(message: PlannerMessage): void {
    if (message.kind === "tick") {
      this.#begin();
      return;
    }
    if (message.kind === "ended") {
      this.#settle(message);
      return;
    }
    // Of a tick that was dropped.
    if (message.turn !== this.#turn || this.#under_way_ms === undefined) return;
    switch (message.kind) {
      case "taken_over":
        this.#takeOver(message.epoch, message.record);
        return;
      case "seen":
        this.#decide(message.snapshot);
        return;
      case "written":
        this.#carryOut(message.ticked, message.decisions);
        return;
      case "failed":
        this.#fail(message.why, message.taken);
    }
  }

  override release(): void {
    this.#metrics?.forget();
    this.#options.tellFirstWorker?.(undefined);
    this.#options.close?.();
  }

  override inspect(): Snapshot {
    const { model } = this.#options;
    const { last, pending = [] } = this.#state ?? {};
    return {
      ...{ model, decides: this.#epoch > 0, epoch: this.#epoch, decision: last?.id ?? 0 },
      ...{ ticks: this.#ticks, dropped: this.#dropped, skipped: this.#skipped },
      trouble: this.#trouble,
      targets: last?.targets ?? {},
      roles: last?.roles ?? [],
      pending: pending.map(({ change, action }) => ({ change, ...action })),
      ended: this.#ended.map(({ change, outcome, workers, at_ms }) => {
        return { change, ...outcome, workers, at_ms };
      }),
    };
  }

  override detail(name: string, about: string): Snapshot | undefined {
    return this.#teller?.detail(name, about);
  }

  #head(): PlanHead {
    const { model, config } = this.#options;
    return {
      ...{ model, config, epoch: this.#epoch, since_ms: this.#since_ms },
      standing: this.#standing(),
      pending: this.#state?.pending ?? [],
      ...{ overruns: this.#dropped, trouble: this.#trouble },
      ended: this.#ended.map(({ change, outcome, at_ms }) => {
        const { kind, why = "", unfinished } = outcome;
        const left = unfinished === undefined ? {} : { unfinished };
        return { change, ended_ms: at_ms, outcome: kind, why, ...left };
      }),
    };
  }

  #standing(): PlanStanding {
    if (this.#epoch === 0) {
      const holder = this.#under_way_ms === undefined ? this.#options.holder() : "nobody";
      return ({ nobody: "starts", last_life: "waits", another: "stands_by" } as const)[holder];
    }
    if (this.#blind) return "no_figures";
    return this.#options.config.advisory ? "advises" : "decides";
  }

  // ---- a tick ----------------------------------------------------------------------------------

  #begin(): void {
    const now_ms = this.ctx.clock.now_ms();
    if (this.#under_way_ms !== undefined) {
      if (now_ms - this.#under_way_ms < TICK_MOST_MS) {
        this.#skipped++;
        return;
      }
      this.#drop("a tick took longer than 30 s");
    }
    const epoch = this.#options.epoch();
    if (epoch === undefined) {
      if (this.#epoch > 0) {
        this.#metrics?.forget();
        this.#options.tellFirstWorker?.(undefined);
      }
      this.#epoch = 0;
      return;
    }
    this.#turn++;
    this.#under_way_ms = now_ms;
    if (epoch !== this.#epoch || this.#state === undefined) this.#step(this.#lead(epoch));
    else this.#step(this.#look());
  }

  /** Whoever decided before is refused first: what the journal says after that is its last word. */
  async #lead(epoch: number): Promise<PlannerMessage> {
    const turn = this.#turn;
    const { connector, journal, model } = this.#options;
    await connector.lead?.(model, epoch);
    await this.#options.reload?.();
    const record = await journal.read(this.#options.config, epoch);
    return { kind: "taken_over", turn, epoch, record };
  }

  async #look(): Promise<PlannerMessage> {
    const turn = this.#turn;
    return { kind: "seen", turn, snapshot: await this.#options.observer.look() };
  }

  /** Its end is a message, so that a late one is known by its turn. */
  #step(work: Promise<PlannerMessage>): void {
    const { self } = this.ctx;
    const turn = this.#turn;
    work.then(
      (message) => void self.tell(message),
      (error: unknown) => {
        const taken = error instanceof JournalTakenError;
        self.tell({ kind: "failed", turn, why: errorText(error), taken });
      },
    );
  }

  #takeOver(epoch: number, { state, decisions }: JournalRecord): void {
    const { model, observer } = this.#options;
    this.ctx.log.log("info", "planner: decides from now on", { model, epoch });
    this.#epoch = epoch;
    this.#since_ms = this.ctx.clock.wall_ms();
    this.#state = state;
    this.#decisions = decisions;
    this.#teller?.tookOver(decisions);
    for (const pending of state.pending) this.#changes?.ask(pending, model, epoch, true);
    this.#tellFirstWorker();
    observer.forget();
    this.#step(this.#look());
  }

  #decide(snapshot: PlanSnapshot | undefined): void {
    if (snapshot === undefined || this.#state === undefined) {
      this.#under_way_ms = undefined;
      return;
    }
    this.#blind = snapshot.traffic === undefined;
    this.#snapshot = snapshot;
    const ticked = this.#ticked(this.#state, snapshot);
    const decisions = withDecision(this.#decisions, ticked.decision);
    this.#late = [];
    const turn = this.#turn;
    const written = this.#options.journal.write(ticked.state, decisions);
    this.#step(written.then(() => ({ kind: "written", turn, ticked, decisions })));
  }

  /** What a journal holds may have the right form and still not work: it would crash for ever. */
  #ticked(state: PlannerState, snapshot: PlanSnapshot): Ticked {
    const { config, parts, model } = this.#options;
    try {
      return tick(state, snapshot, config, parts);
    } catch (error) {
      const anew = tick(withoutLearning(state), snapshot, config, parts);
      const why = errorText(error);
      const line = "planner: what was learned does not work, and begins anew";
      this.ctx.log.log("error", line, { model, error: why });
      return anew;
    }
  }

  #carryOut({ state, decision }: Ticked, decisions: readonly Decision[]): void {
    this.#under_way_ms = undefined;
    this.#state = state;
    this.#decisions = decisions;
    this.#teller?.decided(decision, this.ctx.clock.now_ms());
    const { config } = this.#options;
    if (this.#snapshot !== undefined) this.#metrics?.decided(decision, this.#snapshot, config);
    this.#ticks++;
    this.#trouble = "";
    const late = this.#late ?? [];
    this.#late = undefined;
    for (const ended of late) this.#settle(ended);
    this.#tellFirstWorker();
    if (decision.actions.length === 0) return;
    const { model } = this.#options;
    for (const role of decision.roles) {
      const { log } = this.ctx;
      log.log("info", `planner: ${role.role} ${role.reason}: ${role.why}`, {
        ...{ model, decision: decision.id, serving: role.serving, target: role.target },
      });
    }
    for (const pending of state.pending) {
      if (pending.decision !== decision.id) continue;
      this.#changes?.ask(pending, model, this.#epoch, false);
    }
  }

  /** Nothing of this tick was done; the next one sees what there is. */
  #fail(why: string, taken: boolean): void {
    this.#drop(why);
    // Another planner decides: this one begins anew if it ever gets the name again.
    if (taken) this.#state = undefined;
  }

  #drop(why: string): void {
    this.#under_way_ms = undefined;
    this.#turn++;
    this.#dropped++;
    if (this.#trouble !== why) {
      this.ctx.log.log("warn", "planner: a tick came to nothing", { why });
    }
    this.#trouble = why;
    const late = this.#late ?? [];
    this.#late = undefined;
    for (const ended of late) this.#settle(ended);
  }

  #settle({ change, outcome, workers }: EndedChange): void {
    if (this.#late !== undefined) {
      this.#late.push({ change, outcome, workers });
      return;
    }
    const at_ms = this.ctx.clock.wall_ms();
    this.#ended = [...this.#ended, { change, outcome, workers, at_ms }].slice(-ENDED_MAX);
    const { log } = this.ctx;
    if (outcome.why === undefined)
      log.log("info", `planner: ${change} ${outcome.kind}`, { workers });
    else log.log("warn", `planner: ${change} ${outcome.kind}: ${outcome.why}`, { workers });
    if (this.#state === undefined) return;
    this.#state = settled(this.#state, change, outcome, at_ms, this.#options.config);
    this.#tellFirstWorker();
  }

  #tellFirstWorker(): void {
    const { config, tellFirstWorker } = this.#options;
    if (this.#state !== undefined) tellFirstWorker?.(firstWorkerMs(this.#state, config));
  }
}
