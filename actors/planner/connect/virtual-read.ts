/**
 * What stands in the keys of the virtual connector, as far as it can be believed. Anybody may write
 * there, and a crash or a hand may leave any text: a record that cannot be read gives way to
 * Dynamo's plain keys, a number that cannot be is as none, and each is told with what to do.
 */
import { z } from "zod";
import { WORKERS_MOST } from "./connector.ts";
import { dynamoKeys, ownKeys, type PlanKeys } from "./virtual-keys.ts";

/** Changes that a record remembers: those of the last some decisions. */
export const REMEMBERED = 64;
/** Far beyond all that a planner comes to in its life. */
export const ID_MOST = 1e12;

const workersForm = z.number().int().min(0).max(WORKERS_MOST);
const idForm = z.number().int().min(0).max(ID_MOST);
const countsForm = z.object({ prefill: workersForm, decode: workersForm });
const changeForm = z.object({
  change: z.string(),
  decision_id: idForm,
  /** cancel: takes back workers that have not started. */
  kind: z.enum(["add", "retire", "cancel", "change_role"]),
  /** Whose number it changes; of a changed role, the old one. */
  side: z.enum(["prefill", "decode"]),
  /** Names of the workers that come or go. */
  workers: z.array(z.string()).max(WORKERS_MOST),
});
const recordForm = z.object({
  /** -1: a planner leads and has decided nothing. */
  decision_id: idForm.or(z.literal(-1)),
  num_prefill_workers: workersForm,
  num_decode_workers: workersForm,
  /** What there was when it was decided. */
  from: countsForm,
  epoch: idForm,
  planner: z.string(),
  /** Whose workers these are; empty: of a planner that did not say it. */
  model: z.string().default(""),
  /** Unix time. */
  at_ms: z.number(),
  /** The last ones, so that a change which is asked again is joined. */
  changes: z.array(changeForm).max(REMEMBERED),
});

export type Side = "prefill" | "decode";
export type Counts = z.infer<typeof countsForm>;
export type KnownChange = z.infer<typeof changeForm>;
export type DecisionRecord = z.infer<typeof recordForm>;

export const nothingDecided: DecisionRecord = {
  ...{ decision_id: -1, num_prefill_workers: 0, num_decode_workers: 0, epoch: 0, planner: "" },
  ...{ model: "", from: { prefill: 0, decode: 0 }, at_ms: 0, changes: [] },
};

/** A key that is not as it should be, and what comes of it: one line for people. */
export type KeyFault = { readonly key: string; readonly why: string };

export type Board = {
  /** As it is stored, to be replaced; undefined: there is none. */
  readonly text: string | undefined;
  readonly record: DecisionRecord | undefined;
  /** Of the launcher; -1: none. */
  readonly scaled: number;
  readonly failed: number;
  readonly failure: string;
  readonly have: Partial<Counts>;
  /** The highest of all ids that stand in any key: the next one is above it. */
  readonly highest: number;
  /** Dynamo's keys do not say what the record says: the writer ended between the two. */
  readonly stale: boolean;
  readonly faults: readonly KeyFault[];
  /** Why nobody knows how many workers there are, with what to do; empty: it is known. */
  readonly unknown: string;
};

const readNames = [
  ...[ownKeys.record, dynamoKeys.decision, dynamoKeys.prefill, dynamoKeys.decode],
  ...[dynamoKeys.scaled, ownKeys.failed, ownKeys.failure],
  ...[ownKeys.have_prefill, ownKeys.have_decode],
] as const;
type ReadName = (typeof readNames)[number];

type Seen = {
  readonly values: ReadonlyMap<ReadName, string | undefined>;
  /** Undefined: there is none, or not in the form that this program writes. */
  readonly own: DecisionRecord | undefined;
};

/** Looks in a store are one after another, so what seems to be ahead is looked at again. */
const LOOKS = 3;

/** Rejects when the keys cannot be read at all. */
export async function readBoard(keys: PlanKeys): Promise<Board> {
  let seen = await looked(keys);
  for (let looks = 1; looks < LOOKS && isAhead(seen); looks++) {
    const again = await looked(keys);
    const same = again.values.get(ownKeys.record) === seen.values.get(ownKeys.record);
    if (same) return boardOf(again, isAhead(again), keys.nameOf);
    seen = again;
  }
  return boardOf(seen, false, keys.nameOf);
}

async function looked(keys: PlanKeys): Promise<Seen> {
  const texts = await keys.read(readNames);
  const values = new Map(readNames.map((name, i) => [name, texts[i]]));
  return { values, own: recordOf(values.get(ownKeys.record)) };
}

function recordOf(text: string | undefined): DecisionRecord | undefined {
  try {
    return recordForm.parse(JSON.parse(text ?? ""));
  } catch {
    return undefined;
  }
}

/** Dynamo's keys are ahead of our record: of a later decision, or somebody else wrote them. */
const isAhead = ({ values, own }: Seen): boolean =>
  own !== undefined && (wholeIn(values.get(dynamoKeys.decision), ID_MOST) ?? -1) > own.decision_id;

/** Undefined: not set, for which Dynamo also writes -1; or no whole number up to `most`. */
export function wholeIn(text: string | undefined, most: number): number | undefined {
  const value = text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : -1;
  return value >= 0 && value <= most ? value : undefined;
}

const isSet = (text: string | undefined): boolean => !["", "-1"].includes((text ?? "").trim());

/** Undefined: not set, or nothing that can be believed. */
type Numbers = Readonly<
  Record<"id" | "scaled" | "failed" | keyof Counts | `have_${keyof Counts}`, number | undefined>
>;

/** @param faults takes what cannot be believed */
function numbersIn({ values }: Seen, faults: KeyFault[]): Numbers {
  const whole = (key: ReadName, most: number): number | undefined => {
    const text = values.get(key);
    const value = wholeIn(text, most);
    if (value === undefined && isSet(text)) {
      const why = `it says ${JSON.stringify(text?.slice(0, 40))}, which is no whole number`;
      faults.push({ key, why: `${why} up to ${most}, and counts as not set` });
    }
    return value;
  };
  return {
    id: whole(dynamoKeys.decision, ID_MOST),
    scaled: whole(dynamoKeys.scaled, ID_MOST),
    failed: whole(ownKeys.failed, ID_MOST),
    prefill: whole(dynamoKeys.prefill, WORKERS_MOST),
    decode: whole(dynamoKeys.decode, WORKERS_MOST),
    have_prefill: whole(ownKeys.have_prefill, WORKERS_MOST),
    have_decode: whole(ownKeys.have_decode, WORKERS_MOST),
  };
}

/** @param foreign Dynamo's keys are ahead of our record, and stay so */
function boardOf(seen: Seen, foreign: boolean, nameOf: PlanKeys["nameOf"]): Board {
  const { values, own } = seen;
  const faults: KeyFault[] = [];
  const numbers = numbersIn(seen, faults);
  const { id = -1, scaled = -1, failed = -1, prefill, decode, have_prefill, have_decode } = numbers;
  const text = values.get(ownKeys.record);
  const ended = Math.max(scaled, failed);
  const last = Math.max(own?.decision_id ?? -1, id);
  if (text !== undefined && own === undefined) {
    const hold = "num_prefill_workers, num_decode_workers and decision_id";
    faults.push({ key: ownKeys.record, why: `it is no decision: ${hold} hold in its place` });
  }
  if (foreign) {
    const why = `it says ${id}, and the planner's own record ${own?.decision_id}`;
    faults.push({ key: dynamoKeys.decision, why: `${why}: somebody else decides here, too` });
  }
  if (ended > last) {
    const key = scaled === ended ? dynamoKeys.scaled : ownKeys.failed;
    const why = `it says ${ended}, ahead of the last decision that is known (${last})`;
    faults.push({ key, why: `${why}: the next one is ${ended + 1}` });
  }
  const plain = recordOfPlain(numbers, isSet(values.get(dynamoKeys.decision)));
  const lacks = plain && sides.find((side) => isLacking(seen, numbers, side));
  const believed = lacks === undefined ? plain : undefined;
  const record = foreign && own && believed ? { ...own, ...decisionIn(believed) } : own;
  return {
    ...{ text, record: record ?? believed, scaled, failed, faults },
    have: definedOf({ prefill: have_prefill, decode: have_decode }),
    failure: (values.get(ownKeys.failure) ?? "").replaceAll(/\s+/g, " ").slice(0, FAILURE_MOST),
    highest: Math.max(last, ended),
    stale:
      own !== undefined &&
      record === own &&
      own.decision_id >= 0 &&
      (id !== own.decision_id ||
        prefill !== own.num_prefill_workers ||
        decode !== own.num_decode_workers),
    unknown: own === undefined && lacks !== undefined ? unknownBy(lacks, nameOf) : "",
  };
}

const FAILURE_MOST = 300;

export const sides: readonly Side[] = ["prefill", "decode"];
const plainKeys = { prefill: dynamoKeys.prefill, decode: dynamoKeys.decode } as const;

const isLacking = ({ values }: Seen, numbers: Numbers, side: Side): boolean =>
  isSet(values.get(plainKeys[side])) && (numbers[side] ?? numbers[`have_${side}`]) === undefined;

const unknownBy = (side: Side, nameOf: PlanKeys["nameOf"]): string =>
  `nobody says how many ${side} workers there are, as the key ${nameOf(plainKeys[side])} cannot ` +
  "be read: set it to their number";

/**
 * Written by somebody who knows Dynamo's keys alone: a planner goes on from there. Undefined: counts
 * without an id are of a decision that was never told.
 * @param told something stands where the id belongs
 */
function recordOfPlain(numbers: Numbers, told: boolean): DecisionRecord | undefined {
  const { id, scaled = -1, failed = -1 } = numbers;
  const ended = Math.max(scaled, failed);
  if (!told && ended < 0) return undefined;
  const prefill = numbers.prefill ?? numbers.have_prefill ?? 0;
  const decode = numbers.decode ?? numbers.have_decode ?? 0;
  return {
    ...nothingDecided,
    decision_id: id ?? ended,
    from: { prefill, decode },
    num_prefill_workers: prefill,
    num_decode_workers: decode,
  };
}

/** Without who decided, and what changed. */
function decisionIn(record: DecisionRecord) {
  const { decision_id, num_prefill_workers, num_decode_workers, from, at_ms } = record;
  return { decision_id, num_prefill_workers, num_decode_workers, from, at_ms };
}

function definedOf({ prefill, decode }: Partial<Counts>): Partial<Counts> {
  return {
    ...(prefill === undefined ? {} : { prefill }),
    ...(decode === undefined ? {} : { decode }),
  };
}
