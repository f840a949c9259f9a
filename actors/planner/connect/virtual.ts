/**
 * The virtual connector: decisions are written down, and somebody else's launcher carries them out
 * (virtual-client.ts). Dynamo's protocol, with what it lacks: a decision is one record that nobody
 * reads torn, an older planner is refused, a launcher can say that it failed, and a planner that
 * comes back goes on where it was, as all of it stands in the keys.
 */
import type { Clock, Log } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";
import type { Added, Change, ChangeFailure, Connector, Gone, PoolView } from "./connector.ts";
import { Together } from "./together.ts";
import {
  type Asked,
  mirrorOf,
  nextRecord,
  type Outcome,
  outcomeOf,
  poolOf,
  whyNot,
} from "./virtual-board.ts";
import { ownKeys, type PlanKeys } from "./virtual-keys.ts";
import { Notices } from "./virtual-notices.ts";
import { type Board, nothingDecided, readBoard, type Side } from "./virtual-read.ts";

export type VirtualOptions = {
  readonly keys: PlanKeys;
  readonly clock: Clock;
  readonly log: Log;
  /** For people: who decides. */
  readonly planner: string;
  readonly mode: PlannerConfig["mode"];
  /** A decision that nobody acknowledges is given up, and stops the next ones for so long. */
  readonly patience_ms?: number;
  readonly poll_ms?: number;
};

/** Dynamo's 1800 s. */
const PATIENCE_MS = 1_800_000;
const POLL_MS = 1_000;
/** Three ticks of the slowest loop may pass before a launcher takes the planner for gone. */
const LEASE_MS = 600_000;
/** Others who write at the same time: an older planner that does not know yet. */
const TRIES = 5;

const BUSY = "another planner writes at the same time";

type Refused = { readonly kind: "refused"; readonly why: string };

export class VirtualConnector implements Connector {
  readonly #options: Required<VirtualOptions>;
  readonly #roles: Readonly<Record<Side, PlanRole>>;
  readonly #together: Together<Asked, Refused | undefined>;
  #closed = false;
  readonly #watching = new Set<Notices>();
  /** Keys that are told to be broken, until they are not. */
  #broken = new Set<string>();
  /** Said once, until the keys are read again. */
  #blind_why = "";

  constructor(options: VirtualOptions) {
    this.#options = { patience_ms: PATIENCE_MS, poll_ms: POLL_MS, ...options };
    const decode = options.mode === "agg" ? "aggregated" : "decode";
    this.#roles = { prefill: "prefill", decode };
    this.#together = new Together(options.clock, (asked) => this.#decide(asked));
  }

  /** Rejects with NotOursError, or when the keys cannot be read. */
  async lead(model: string, epoch: number): Promise<void> {
    await this.#together.inTurn(() => this.#lead(model, epoch));
  }

  /** The planner's model is the only one of its namespace. */
  async view(model: string): Promise<PoolView | undefined> {
    const { log } = this.#options;
    try {
      const board = await this.#together.inTurn(() => this.#look(model));
      if (this.#blind_why !== "") log.log("info", "the planner's keys are read again");
      this.#blind_why = "";
      return poolOf(board, this.#roles);
    } catch (error) {
      const why = errorText(error);
      if (why !== this.#blind_why) {
        log.log("warn", "the planner's keys do not say which workers there are", { error: why });
      }
      this.#blind_why = why;
      return undefined;
    }
  }

  async add(change: Change, role: PlanRole, count: number): Promise<Added | ChangeFailure> {
    return added(await this.#ask({ ...change, kind: "add", side: sideOfRole(role), count }));
  }

  async retire(change: Change, workers: readonly string[]): Promise<Gone | ChangeFailure> {
    const outcome = await this.#ask({ ...change, kind: "retire", workers });
    return outcome.kind === "done" ? { kind: "gone", workers: outcome.workers } : failed(outcome);
  }

  async changeRole(
    change: Change,
    workers: readonly string[],
    to: PlanRole,
  ): Promise<Added | ChangeFailure> {
    const side = sideOfRole(to);
    return added(await this.#ask({ ...change, kind: "change_role", workers, to: side }));
  }

  /** Whoever waits is told that nobody answered. */
  close(): void {
    this.#closed = true;
    for (const notices of this.#watching) notices.end();
  }

  async #ask(asked: Asked): Promise<Outcome | Refused> {
    return (await this.#together.ask(asked)) ?? (await this.#settled(asked.change));
  }

  async #lead(model: string, epoch: number): Promise<void> {
    const { keys, planner } = this.#options;
    for (let tries = 0; tries < TRIES; tries++) {
      const board = await this.#board();
      const wrong = whyNot(board, { model, epoch, nameOf: keys.nameOf });
      if (wrong !== undefined) throw new NotOursError(wrong);
      const led = { ...(board.record ?? nothingDecided), epoch, planner, model };
      if (await keys.replace(ownKeys.record, board.text, JSON.stringify(led), [])) return;
    }
    throw new Error(BUSY);
  }

  /** Sets right what a writer that was killed left, and says that this planner is there. */
  async #look(model: string): Promise<Board> {
    const { keys, clock } = this.#options;
    const board = await this.#board();
    // An older planner may look.
    const epoch = Number.POSITIVE_INFINITY;
    const wrong = whyNot(board, { model, epoch, nameOf: keys.nameOf });
    if (wrong !== undefined) throw new NotOursError(wrong);
    const mirror = board.stale && board.record !== undefined ? mirrorOf(board.record) : [];
    await keys.put([...mirror, [ownKeys.lease, `${Math.floor(clock.wall_ms()) + LEASE_MS}`]]);
    return board;
  }

  /** Tells of each key that is broken, once until it is whole again. */
  async #board(): Promise<Board> {
    const { keys, log } = this.#options;
    const board = await readBoard(keys);
    for (const { key, why } of board.faults) {
      if (this.#broken.has(key)) continue;
      log.log("warn", `planner: the key ${keys.nameOf(key)} is broken: ${why}`);
    }
    this.#broken = new Set(board.faults.map(({ key }) => key));
    return board;
  }

  /** Undefined: it stands in the keys, now or from before. */
  async #decide(asked: readonly Asked[]): Promise<Refused | undefined> {
    const { keys, clock, planner, patience_ms, log } = this.#options;
    let writing = false;
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const board = await this.#board();
        const now_ms = Math.floor(clock.wall_ms());
        const deciding = { planner, now_ms, patience_ms, nameOf: keys.nameOf };
        const next = nextRecord(board, asked, deciding);
        if (next.kind === "refused") return next;
        if (next.kind === "joined") return undefined;
        writing = true;
        const { record } = next;
        const mirror = mirrorOf(record);
        if (!(await keys.replace(ownKeys.record, board.text, JSON.stringify(record), mirror))) {
          continue;
        }
        const { decision_id, num_prefill_workers, num_decode_workers } = record;
        const counts = { decision_id, num_prefill_workers, num_decode_workers };
        log.log("info", "a decision waits for its launcher", counts);
        return undefined;
      }
      return { kind: "refused", why: BUSY };
    } catch (error) {
      // It may have been written all the same: then the wait for it finds it, or the next ask.
      if (writing) return undefined;
      return { kind: "refused", why: `the keys cannot be read: ${errorText(error)}` };
    }
  }

  async #settled(change: string): Promise<Outcome> {
    const { keys, clock, poll_ms, patience_ms } = this.#options;
    const end_ms = clock.now_ms() + patience_ms;
    const notices = new Notices(keys, clock);
    this.#watching.add(notices);
    let why = `no launcher acknowledged it within ${Math.round(patience_ms / 1_000)} s`;
    try {
      while (!this.#closed && clock.now_ms() < end_ms) {
        const outcome = await readBoard(keys).then(
          (board) => outcomeOf(board, change),
          (error: unknown) => {
            why = `the keys cannot be read: ${errorText(error)}`;
            return undefined;
          },
        );
        if (outcome !== undefined) return outcome;
        await notices.next(poll_ms);
      }
    } finally {
      notices.end();
      this.#watching.delete(notices);
    }
    return { kind: "failed", workers: [], why: this.#closed ? "the planner stops" : why };
  }
}

/** Another planner decides, or the keys are not of this model, or do not say enough. */
export class NotOursError extends Error {
  override readonly name = "NotOursError";
  readonly code = "not_ours";
}

const sideOfRole = (role: PlanRole): Side => (role === "prefill" ? "prefill" : "decode");

const failed = (outcome: Outcome | Refused): ChangeFailure =>
  outcome.kind === "refused"
    ? { ...outcome, workers: [] }
    : { kind: "failed", workers: outcome.workers, why: outcome.why };

const added = (outcome: Outcome | Refused): Added | ChangeFailure =>
  outcome.kind === "done" ? { kind: "added", workers: outcome.workers } : failed(outcome);
