/**
 * What a door does for stored responses beside answering: it writes each at its begin and its end,
 * says that it is alive, ends what is cancelled, and goes on with what a dead door began, as far as
 * workers hold it. All of it happens in `tend`, which the frontend calls a few times a second.
 *
 *   begin ─▶ kept/running ─▶ whole, failed, left ─▶ final
 *                 │ its door is dead
 *                 └─▶ held by a worker? adopted : may be made anew? begun again : failed
 */
import type { Clock, Log, Store } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { AnswerFailure } from "../../stream/stream.ts";
import type { Recording } from "../answer/recording.ts";
import { stored } from "../api/stored.ts";
import type { KeptConversations } from "./kept-conversations.ts";
import { bytesOf, doorKey, type Item, type KeptResponse, recordOf } from "./kept-record.ts";
import type { KeptResponses } from "./kept-responses.ts";
import { Retention, type RetentionLimits } from "./retention.ts";

/** A door that has not said for so long that it is alive is dead. */
const LEASE_MS = 3_000;
const RENEW_MS = 1_000;
const SWEEP_MS = 1_000;
/** How often workers are asked for a response whose door is dead, before it has failed. */
const TRIES = 3;
/** An answer that is whole is not held back for longer by a store that hangs. */
const WRITE_MS = 3_000;

export type KeeperParts = {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly responses: KeptResponses;
  readonly conversations: KeptConversations;
  readonly limits: RetentionLimits;
  /** The name of this life of the door. */
  readonly door: string;
  /** Goes on with an answer that workers hold; false: none does. */
  readonly goOn: (id: string, record: KeptResponse, recording: Recording) => Promise<boolean>;
  /** Makes anew what no worker has any more; false: it cannot be. */
  readonly makeAgain: (id: string, record: KeptResponse, recording: Recording) => Promise<boolean>;
  /** Workers can be asked. */
  readonly isReady: () => boolean;
};

type Run = { cancel: () => void };

export class Keeper {
  readonly #parts: KeeperParts;
  readonly #retention: Retention;
  /** By id: what this door makes. */
  readonly #runs = new Map<string, Run>();
  readonly #tries = new Map<string, number>();
  #tending = false;
  #renewed_ms = Number.NEGATIVE_INFINITY;
  #swept_ms = Number.NEGATIVE_INFINITY;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    const { store, clock, responses, conversations, limits } = parts;
    this.#retention = new Retention({ store, clock, responses, conversations, limits });
  }

  /** Rejects with ApiError: nothing is stored then, and nothing may be begun. */
  async begin(
    id: string,
    record: Omit<KeptResponse, "door" | "created_ms" | "state" | "deltas">,
  ): Promise<Recording> {
    const { responses, clock, door } = this.#parts;
    const created_ms = clock.wall_ms();
    await this.#renew();
    this.#runs.set(id, { cancel: () => {} });
    try {
      await responses.begin(id, { ...record, created_ms, state: "running", door, deltas: [] });
    } catch (error) {
      this.#runs.delete(id);
      throw error;
    }
    this.#retention.added();
    return this.#recording(id, record.owner);
  }

  /** How to end what this door makes; undefined: another door makes it, or nobody. */
  cancelOf(id: string): (() => void) | undefined {
    return this.#runs.get(id)?.cancel;
  }

  /** For a stream that reads an answer again: at its end the response is stored, if it is not. */
  second(id: string, owner: string): Recording {
    const none = () => {};
    const { whole } = this.#recording(id, owner);
    return { whole, started: none, failed: none, refused: none, left: none, lost: none };
  }

  /** `sweeps`: also after what dead doors have left. Never rejects. */
  async tend(sweeps: boolean): Promise<void> {
    if (this.#tending) return;
    this.#tending = true;
    try {
      const now_ms = this.#parts.clock.now_ms();
      if (this.#runs.size > 0) {
        if (now_ms - this.#renewed_ms >= RENEW_MS) await this.#renew();
        await this.#cancelAsked();
      }
      if (sweeps && now_ms - this.#swept_ms >= SWEEP_MS) {
        this.#swept_ms = now_ms;
        await this.#sweep();
        await this.#retention.tend();
      }
    } catch (error) {
      const why = errorText(error);
      this.#parts.log.log("debug", "stored responses could not be looked after", { why });
    } finally {
      this.#tending = false;
    }
  }

  async #renew(): Promise<void> {
    const { store, clock, door } = this.#parts;
    this.#renewed_ms = clock.now_ms();
    const until_ms = clock.wall_ms() + LEASE_MS;
    await stored(store.put(doorKey(door), bytesOf({ until_ms })));
  }

  #recording(id: string, owner: string): Recording {
    const { responses, conversations } = this.#parts;
    const end = async (response: Item, deltas: readonly number[]): Promise<void> => {
      const after = await responses
        .end(id, { response, deltas })
        .finally(() => this.#runs.delete(id));
      if (after?.response !== response) return;
      const { conversation, output } = response as {
        conversation?: { id: string };
        output: Item[];
      };
      if (conversation == null || response["status"] === "failed") return;
      await conversations.add(owner, conversation.id, [...after.input, ...output]);
    };
    const written = (work: Promise<void>): Promise<void> =>
      this.#inTime(
        work.catch((error: unknown) => {
          const why = errorText(error);
          this.#parts.log.log("warn", "a response could not be stored", { response: id, why });
        }),
      );
    const failed = async (status: string, error: object | null): Promise<void> => {
      const record = await responses.read(id);
      if (record?.state !== "running") this.#runs.delete(id);
      else await end({ ...record.response, status, error }, []);
    };
    return {
      started: (cancel) => {
        const run = this.#runs.get(id);
        if (run !== undefined) run.cancel = cancel;
      },
      whole: (response, deltas) => written(end(response as Item, deltas)),
      failed: (failure) => void written(failed("failed", errorOf(failure))),
      refused: () => void written(this.#forget(id)),
      left: () => void written(failed("cancelled", null)),
      lost: () => void this.#runs.delete(id),
    };
  }

  async #forget(id: string): Promise<void> {
    const { responses } = this.#parts;
    const record = await responses.read(id).finally(() => this.#runs.delete(id));
    if (record !== undefined) await responses.delete(id, record);
  }

  #inTime(work: Promise<void>): Promise<void> {
    const { clock } = this.#parts;
    return new Promise((resolve) => {
      const timer = clock.after(WRITE_MS, resolve);
      void work.then(() => {
        clock.cancel(timer);
        resolve();
      });
    });
  }

  async #cancelAsked(): Promise<void> {
    const { responses } = this.#parts;
    for (const id of await responses.cancelAsked()) {
      const run = this.#runs.get(id);
      if (run === undefined) continue;
      run.cancel();
      this.#runs.delete(id);
      await responses.cancelDone(id);
    }
  }

  /** Looks for what dead doors have left. */
  async #sweep(): Promise<void> {
    const { responses, isReady } = this.#parts;
    if (!isReady()) return;
    const alive = new Map<string, boolean>();
    const left = await responses.running();
    const ids = new Set(left.map(({ id }) => id));
    for (const id of this.#tries.keys()) if (!ids.has(id)) this.#tries.delete(id);
    for (const { id, door } of left) {
      if (this.#runs.has(id)) continue;
      // This door makes it no more: it gave it up, or was asked to go on with it and could not.
      if (door === this.#parts.door) alive.set(door, false);
      if (!alive.has(door)) alive.set(door, await this.#isAlive(door));
      if (alive.get(door) !== true) await this.#takeOver(id, door);
    }
  }

  async #isAlive(door: string): Promise<boolean> {
    const { store, clock } = this.#parts;
    const bytes = await stored(store.get(doorKey(door)));
    if (bytes === undefined) return false;
    if (recordOf<{ until_ms: number }>(bytes).until_ms > clock.wall_ms()) return true;
    await stored(store.delete(doorKey(door)));
    return false;
  }

  async #takeOver(id: string, from: string): Promise<void> {
    const { responses, door, goOn, log } = this.#parts;
    const record = await responses.read(id);
    if (record?.state !== "running") {
      await responses.forgetRunning(id);
      return;
    }
    if (record.door !== from && record.door !== door && (await this.#isAlive(record.door))) return;
    await this.#renew();
    if (!(await responses.adopt(id, record.door, door))) return;
    this.#runs.set(id, { cancel: () => {} });
    const recording = this.#recording(id, record.owner);
    if (await goOn(id, record, recording).catch(() => false)) {
      this.#tries.delete(id);
      log.log("info", "goes on with a response that another door began", { response: id });
      return;
    }
    this.#runs.delete(id);
    const tries = (this.#tries.get(id) ?? 0) + 1;
    this.#tries.set(id, tries);
    if (tries < TRIES) return;
    this.#tries.delete(id);
    if (!(await this.#makeAgain(id, record))) recording.failed(LOST);
  }

  /** False: it cannot be made anew, or was often enough. */
  async #makeAgain(id: string, record: KeptResponse): Promise<boolean> {
    const { responses, makeAgain, log } = this.#parts;
    if ((record.again?.left ?? 0) <= 0) return false;
    await responses.countAgain(id);
    this.#runs.set(id, { cancel: () => {} });
    const recording = this.#recording(id, record.owner);
    const made = await makeAgain(id, record, recording).catch(() => false);
    if (made)
      log.log("info", "makes a response anew that no worker has any more", { response: id });
    else this.#runs.delete(id);
    return made;
  }
}

const LOST: AnswerFailure = {
  code: "worker_lost",
  status: 503,
  message:
    "The server that made this response ended, and no worker holds it any more. Send the request again.",
};

/** OpenAI's codes of failed responses. */
export const errorOf = ({ status, message }: Pick<AnswerFailure, "status" | "message">) => ({
  code: status === 429 ? "rate_limit_exceeded" : "server_error",
  message,
});
