/**
 * The other side of the virtual connector, for whoever starts the workers: wait for a decision,
 * carry it out, say that it is done or why it is not.
 *
 *     const client = new VirtualClient({ keys: redisKeys(redis, "dynamo"), clock });
 *     for (;;) {
 *       const told = await client.wait();
 *       if (told === undefined) continue;
 *       const why = await scaleTo(told.num_prefill_workers, told.num_decode_workers);
 *       if (why === undefined) await client.complete(told);
 *       else await client.fail(told, why);
 *     }
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import { isSettled } from "./virtual-board.ts";
import { dynamoKeys, type KeyValue, ownKeys, type PlanKeys } from "./virtual-keys.ts";
import { Notices } from "./virtual-notices.ts";
import { type Board, type Counts, readBoard, wholeIn } from "./virtual-read.ts";

/** -1: not set. */
export type Told = {
  readonly num_prefill_workers: number;
  readonly num_decode_workers: number;
  readonly decision_id: number;
  /** Of the planner that decided; -1: it has none. */
  readonly epoch: number;
};

export type VirtualClientOptions = {
  readonly keys: PlanKeys;
  readonly clock: Clock;
  /** Between two looks where no notice comes. */
  readonly poll_ms?: number;
};

export class VirtualClient {
  readonly #keys: PlanKeys;
  readonly #clock: Clock;
  readonly #poll_ms: number;

  constructor({ keys, clock, poll_ms = 1_000 }: VirtualClientOptions) {
    this.#keys = keys;
    this.#clock = clock;
    this.#poll_ms = poll_ms;
  }

  /** Never torn: the three numbers are of one decision. Rejects when the keys cannot be read. */
  async get(): Promise<Told> {
    return toldOf(await readBoard(this.#keys));
  }

  /** Whether the newest decision was carried out, or there is none. */
  async isReady(): Promise<boolean> {
    const { record, scaled } = await readBoard(this.#keys);
    return record === undefined || scaled >= record.decision_id;
  }

  /**
   * The newest decision that was neither carried out nor given up; waits for one. Undefined: none
   * came within the time. Rejects when the keys cannot be read.
   */
  async wait(timeout_ms = Number.POSITIVE_INFINITY): Promise<Told | undefined> {
    const end_ms = this.#clock.now_ms() + timeout_ms;
    const notices = new Notices(this.#keys, this.#clock);
    try {
      for (;;) {
        const board = await readBoard(this.#keys);
        if (!isSettled(board)) return toldOf(board);
        const left_ms = end_ms - this.#clock.now_ms();
        if (left_ms <= 0) return undefined;
        await notices.next(Math.min(left_ms, this.#poll_ms));
      }
    } finally {
      notices.end();
    }
  }

  /** It is carried out. `have`: how many there are, where that is not what was decided. */
  async complete(told: Told, have: Partial<Counts> = {}): Promise<void> {
    const { scaled } = await readBoard(this.#keys);
    const id = Math.max(scaled, told.decision_id);
    const decided = { prefill: told.num_prefill_workers, decode: told.num_decode_workers };
    await this.#keys.put([...haveValues({ ...decided, ...have }), [dynamoKeys.scaled, `${id}`]]);
  }

  /** It is given up. Without `have` the planner takes it that nothing has changed. */
  async fail({ decision_id }: Told, why: string, have: Partial<Counts> = {}): Promise<void> {
    // The number is last: who sees it finds the reason.
    const failed: readonly KeyValue[] = [
      [ownKeys.failure, why],
      [ownKeys.failed, `${decision_id}`],
    ];
    await this.#keys.put([...haveValues(have), ...failed]);
  }

  /** How many workers there are, whenever that changes by itself: at a start, after a crash. */
  async have(counts: Partial<Counts>): Promise<void> {
    await this.#keys.put(haveValues(counts));
  }

  /** Until when the planner that decides has promised to be there, as Unix time in ms; 0: none. */
  async plannerUntil_ms(): Promise<number> {
    const [until] = await this.#keys.read([ownKeys.lease]);
    return wholeIn(until, Number.MAX_SAFE_INTEGER) ?? 0;
  }
}

function toldOf({ record }: Board): Told {
  if (record === undefined || record.decision_id < 0) return nothing_told;
  const { num_prefill_workers, num_decode_workers, decision_id, planner } = record;
  const epoch = planner === "" ? -1 : record.epoch;
  return { num_prefill_workers, num_decode_workers, decision_id, epoch };
}

const nothing_told: Told = {
  ...{ num_prefill_workers: -1, num_decode_workers: -1, decision_id: -1, epoch: -1 },
};

function haveValues({ prefill, decode }: Partial<Counts>): readonly KeyValue[] {
  return [
    ...(prefill === undefined ? [] : [[ownKeys.have_prefill, `${prefill}`] as const]),
    ...(decode === undefined ? [] : [[ownKeys.have_decode, `${decode}`] as const]),
  ];
}
