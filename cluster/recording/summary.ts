/** What a recording holds, by process, connection and actor. */
import { messageTable } from "../../proto/index.ts";
import { type Recipes, whyNot } from "../../runtime/observe/record/driven/drive.ts";
import type { RecordedFolder, RecordedProcess } from "../../runtime/observe/record/read-folder.ts";
import type {
  RecordActor,
  RecordFrame,
  RecordHeader,
  RecordTurn,
} from "../../runtime/observe/record/record-format.ts";
import { FrameWalk } from "../../runtime/remote/envelope.ts";
import { control, FIRST_MESSAGE_TYPE } from "../../runtime/remote/wire.ts";
import { runtimeCodecs } from "../../runtime/wire-messages.ts";

export type Counts = Map<string, number>;

export type ActorSummary = {
  readonly path: string;
  readonly role: string;
  /** Which life of this path in the whole folder, from 0. */
  life: number;
  readonly first_ms: number;
  last_ms: number;
  turns: number;
  readonly by_kind: Counts;
  /** Why it cannot be driven; undefined: it can. */
  why_not: string | undefined;
};

export type ProcessSummary = {
  readonly header: RecordHeader;
  readonly files: number;
  first_ms: number;
  last_ms: number;
  readonly received: Counts;
  readonly sent: Counts;
  dropped: number;
  readonly actors: readonly ActorSummary[];
};

const kinds = new Map<number, string>(
  [...messageTable, ...runtimeCodecs].map(({ id, kind }) => [id, kind]),
);
const controls = new Map<number, string>(Object.entries(control).map(([name, id]) => [id, name]));

export const kindOf = (type: number): string =>
  (type < FIRST_MESSAGE_TYPE ? controls : kinds).get(type) ?? `type ${type}`;

export async function summarise(
  folder: RecordedFolder,
  recipes: Recipes,
): Promise<readonly ProcessSummary[]> {
  const summaries: ProcessSummary[] = [];
  const lives = new Map<string, number>();
  for (const process of folder.processes) {
    const summary = await summaryOf(process, folder, recipes);
    for (const actor of summary.actors) {
      const name = `${summary.header.node}${actor.path}`;
      actor.life = lives.get(name) ?? 0;
      lives.set(name, actor.life + 1);
    }
    summaries.push(summary);
  }
  return summaries;
}

type Known = {
  readonly actor: RecordActor;
  readonly summary: ActorSummary;
  next: number;
};

async function summaryOf(
  { header, names }: RecordedProcess,
  folder: RecordedFolder,
  recipes: Recipes,
): Promise<ProcessSummary> {
  const known = new Map<number, Known>();
  const found = {
    ...{ header, files: names.length, first_ms: header.now_ms, last_ms: header.now_ms },
    ...{ received: new Map(), sent: new Map(), dropped: 0 },
  };
  const saw = (at_ms: number): void => {
    found.last_ms = Math.max(found.last_ms, at_ms);
  };
  for (const name of names) {
    for (const { frame, actor, turn, dropped } of await folder.read(name)) {
      if (frame !== undefined) {
        saw(frame.at_ms);
        countFrame(frame, frame.out ? found.sent : found.received);
      }
      if (actor !== undefined && !known.has(actor.actor)) known.set(actor.actor, begun(actor));
      if (turn !== undefined) {
        saw(turn.at_ms);
        const one = known.get(turn.actor);
        if (one !== undefined) addTurn(one, turn, recipes);
      }
      found.dropped += dropped?.records ?? 0;
    }
  }
  const actors = [...known.values()].map(({ summary }) => summary);
  return { ...found, actors: actors.filter(({ turns }) => turns > 0) };
}

function begun(actor: RecordActor): Known {
  const { path, role } = actor;
  const times = { first_ms: Number.NaN, last_ms: Number.NaN };
  const none = { life: 0, turns: 0, by_kind: new Map(), why_not: undefined };
  return { actor, summary: { path, role, ...times, ...none }, next: 0 };
}

function addTurn(known: Known, turn: RecordTurn, recipes: Recipes): void {
  const { summary, actor } = known;
  if (summary.turns === 0) {
    known.summary.why_not = whyNot(actor, [turn], recipes);
    Object.assign(summary, { first_ms: turn.at_ms });
  } else if (turn.gap !== "") summary.why_not ??= turn.gap;
  if (turn.number !== known.next && known.next > 0) {
    summary.why_not ??= `only to its turn ${known.next - 1}: what came then was dropped`;
  }
  known.next = turn.number + 1;
  summary.turns++;
  summary.last_ms = turn.at_ms;
  add(summary.by_kind, turn.kind);
}

function countFrame({ frame }: RecordFrame, counts: Counts): void {
  try {
    const walk = new FrameWalk(frame);
    while (walk.next()) add(counts, kindOf(walk.head.type));
  } catch {
    add(counts, "unreadable");
  }
}

function add(counts: Counts, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
