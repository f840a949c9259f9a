/**
 * What the keys of the virtual connector mean for a planner, and what it writes next: pure
 * functions. The launcher's workers have no names here, so they are counted: `prefill-1` is the
 * first of its prefill workers.
 */
import type { PlanRole } from "../pipeline/snapshot.ts";
import { type PoolView, WORKERS_MOST } from "./connector.ts";
import { dynamoKeys, type KeyValue, ownKeys } from "./virtual-keys.ts";
import {
  type Board,
  type Counts,
  type DecisionRecord,
  ID_MOST,
  type KnownChange,
  REMEMBERED,
  type Side,
  sides,
} from "./virtual-read.ts";

export type Asked = {
  readonly change: string;
  readonly epoch: number;
  readonly model: string;
} & (
  | { readonly kind: "add"; readonly side: Side; readonly count: number }
  | { readonly kind: "retire"; readonly workers: readonly string[] }
  | { readonly kind: "change_role"; readonly workers: readonly string[]; readonly to: Side }
);

/** `joined`: each of them was decided already. */
export type Next =
  | { readonly kind: "write"; readonly record: DecisionRecord }
  | { readonly kind: "joined" }
  | { readonly kind: "refused"; readonly why: string };

export const mirrorOf = (record: DecisionRecord): readonly KeyValue[] => [
  [dynamoKeys.prefill, `${record.num_prefill_workers}`],
  [dynamoKeys.decode, `${record.num_decode_workers}`],
  // Last, as Dynamo does: who waits for it finds the numbers in place.
  [dynamoKeys.decision, `${record.decision_id}`],
];

/** Done, or given up by the launcher. */
export const isSettled = ({ record, scaled, failed }: Board): boolean =>
  record === undefined || Math.max(scaled, failed) >= record.decision_id;

/** What a failed decision left is what was there before, unless the launcher says more. */
export function countsNow(board: Board): Counts {
  const { record, have } = board;
  if (record === undefined) return { prefill: have.prefill ?? 0, decode: have.decode ?? 0 };
  const reached = board.scaled >= record.decision_id ? targetOf(record) : record.from;
  return { ...reached, ...have };
}

export const targetOf = (record: DecisionRecord): Counts => ({
  prefill: record.num_prefill_workers,
  decode: record.num_decode_workers,
});

export const workerName = (side: Side, place: number): string => `${side}-${place}`;

export function sideOf(worker: string): Side | undefined {
  const [, side] = /^(prefill|decode)-\d+$/.exec(worker) ?? [];
  return side as Side | undefined;
}

/** @param roles what the planner calls the workers of each number */
export function poolOf(board: Board, roles: Readonly<Record<Side, PlanRole>>): PoolView {
  const now = countsNow(board);
  const { record } = board;
  const target = record === undefined || isSettled(board) ? now : targetOf(record);
  const workers = sides.flatMap((side) =>
    Array.from({ length: Math.max(now[side], target[side]) }, (_, i) => {
      const there = i < now[side];
      const state = !there ? "starting" : i < target[side] ? "serving" : "retiring";
      return { worker: workerName(side, i + 1), machine: "virtual", role: roles[side], state };
    }),
  );
  return { workers: workers as PoolView["workers"] };
}

/** Who asks: whose workers, under which epoch. */
export type Asking = {
  readonly model: string;
  readonly epoch: number;
  /** A key as people find it. */
  readonly nameOf: (key: string) => string;
};

export type Deciding = Pick<Asking, "nameOf"> & {
  readonly planner: string;
  /** Unix time. */
  readonly now_ms: number;
  /** A decision that nobody acknowledges stops the next ones for so long. */
  readonly patience_ms: number;
};

/** One decision for all that is asked, as one change of both numbers is one for the launcher. */
export function nextRecord(board: Board, asked: readonly Asked[], deciding: Deciding): Next {
  const { record } = board;
  const epoch = Math.max(...asked.map((each) => each.epoch));
  const [{ model } = { model: "" }] = asked;
  const wrong = whyNot(board, { model, epoch, nameOf: deciding.nameOf });
  if (wrong !== undefined) return { kind: "refused", why: wrong };
  const known = new Set(record?.changes.map(({ change }) => change));
  const fresh = asked.filter(({ change }) => !known.has(change) && known.add(change));
  if (fresh.length === 0) return { kind: "joined" };

  const now = countsNow(board);
  const settled = isSettled(board);
  const base = record === undefined || settled ? now : targetOf(record);
  const decision_id = board.highest + 1;
  if (decision_id > ID_MOST) {
    const why = `ids of decisions end at ${ID_MOST}: delete the keys, and begin anew`;
    return { kind: "refused", why };
  }
  const counts = { ...base };
  const changes: KnownChange[] = [];
  for (const one of fresh) {
    const made = applied(one, counts, now, settled);
    if (typeof made === "string") return { kind: "refused", why: made };
    changes.push({ change: one.change, decision_id, ...made });
  }
  const age_ms = deciding.now_ms - (record?.at_ms ?? 0);
  const takesBack = changes.every(({ kind }) => kind === "cancel");
  // Of a clock that is ahead of this one, or of none at all: a wait for it would have no end.
  if (!settled && !takesBack && Math.abs(age_ms) < deciding.patience_ms) {
    const age = Math.max(0, Math.round(age_ms / 1_000));
    const why = `decision ${record?.decision_id} of ${age} s ago is not acknowledged yet`;
    return { kind: "refused", why };
  }
  return {
    kind: "write",
    record: {
      ...{ decision_id, from: now, epoch, planner: deciding.planner, model },
      at_ms: deciding.now_ms,
      num_prefill_workers: counts.prefill,
      num_decode_workers: counts.decode,
      changes: [...(record?.changes ?? []), ...changes].slice(-REMEMBERED),
    },
  };
}

/** Undefined: a planner of this model and epoch may decide. */
export function whyNot(board: Board, { model, epoch, nameOf }: Asking): string | undefined {
  const { record, unknown } = board;
  if (unknown !== "") return unknown;
  if (record === undefined) return undefined;
  const { planner, model: theirs } = record;
  if (theirs !== "" && theirs !== model) {
    return (
      `these keys are of the model ${theirs}, not of ${model}: give each model a namespace of its ` +
      `own with DYN_NAMESPACE, or delete the key ${nameOf(ownKeys.record)} if ${theirs} is no more`
    );
  }
  if (epoch >= record.epoch) return undefined;
  return (
    `planner ${planner} decides with epoch ${record.epoch}, this one has ${epoch}: if there is no ` +
    `other, delete the key ${nameOf(ownKeys.record)}`
  );
}

type Made = Pick<KnownChange, "kind" | "side" | "workers">;

/** Changes `counts`; a text says why it cannot. */
function applied(one: Asked, counts: Counts, now: Counts, settled: boolean): Made | string {
  if (one.kind === "add") {
    const { kind, side, count } = one;
    const from = counts[side];
    counts[side] += count;
    if (counts[side] > WORKERS_MOST) return `more than ${WORKERS_MOST} ${side} workers`;
    const places = Array.from({ length: count }, (_, i) => from + i + 1);
    return { kind, side, workers: places.map((place) => workerName(side, place)) };
  }
  const foreign = one.workers.find((worker) => sideOf(worker) === undefined);
  if (foreign !== undefined) {
    return `there is no worker ${foreign} here: they are counted, as prefill-1 or decode-2`;
  }
  const [side = "decode", ...others] = new Set(one.workers.map((worker) => sideOf(worker)));
  if (others.length > 0) return "one change is for one role";
  const workers = [...one.workers];
  const starting = !settled && workers.every((worker) => placeOf(worker) > now[side]);
  counts[side] = Math.max(0, counts[side] - workers.length);
  if (one.kind === "change_role") counts[one.to] += workers.length;
  const kind = one.kind === "retire" && starting ? "cancel" : one.kind;
  return { kind, side, workers };
}

const placeOf = (worker: string): number => Number(worker.slice(worker.lastIndexOf("-") + 1));

export type Outcome = {
  readonly kind: "done" | "failed";
  readonly workers: readonly string[];
  readonly why: string;
};

/** How a change ended; undefined: not yet. */
export function outcomeOf(board: Board, change: string): Outcome | undefined {
  const changes = board.record?.changes ?? [];
  const mine = changes.find((each) => each.change === change);
  if (mine === undefined) {
    return { kind: "failed", workers: [], why: `nobody knows of the change ${change} any more` };
  }
  const { decision_id, workers } = mine;
  const cancelled = changes.filter(
    (each) => each.kind === "cancel" && each.decision_id > decision_id && each.side === mine.side,
  );
  const gone = new Set(mine.kind === "add" ? cancelled.flatMap((each) => each.workers) : []);
  const rest = workers.filter((worker) => !gone.has(worker));
  if (board.scaled >= decision_id && board.scaled >= board.failed) {
    if (gone.size === 0) return { kind: "done", workers, why: "" };
    const why = `${gone.size} were taken back before they served`;
    return { kind: "failed", workers: rest, why };
  }
  if (board.failed < decision_id) return undefined;
  const failure = board.failure === "" ? "the launcher failed" : board.failure;
  const have = board.have[mine.side];
  const there =
    mine.kind === "add" && have !== undefined ? rest.filter((w) => placeOf(w) <= have) : [];
  return { kind: "failed", workers: there, why: failure };
}
