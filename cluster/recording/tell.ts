/** How `bun run replay-envelopes` tells a recording and a driven actor to a person. Pure. */
import type { Driven, DrivenTurn } from "../../runtime/observe/record/driven/drive.ts";
import type { RecordedLife } from "../../runtime/observe/record/read-folder.ts";
import { canonical, hexOf } from "../../runtime/observe/record/state-hash.ts";
import type { ActorSummary, Counts, ProcessSummary } from "./summary.ts";

const VALUE_CHARS = 2_000;
const KINDS = 6;

export function summaryLines(processes: readonly ProcessSummary[], all: boolean): string[] {
  return processes.flatMap((process) => {
    const { header, files, first_ms, last_ms, received, sent, dropped, actors } = process;
    const { node, role, version, pid } = header;
    return [
      `${node}  ${role}, process ${pid}, troupe ${version}, from ${dateOf(header.started_ms)}, ` +
        `${seconds(last_ms - first_ms)}, ${files} file(s)` +
        (dropped > 0 ? `, ${dropped} records dropped` : ""),
      `  received  ${countsText(received)}`,
      `  sent      ${countsText(sent)}`,
      ...actorLines(node, actors, all),
      "",
    ];
  });
}

/** Hundreds of streams are one line, where not all are asked for. */
function actorLines(node: string, actors: readonly ActorSummary[], all: boolean): string[] {
  const shown = all ? actors : actors.slice(0, ACTORS);
  const hidden = actors.length - shown.length;
  return [
    ...shown.map((actor) => `  ${actorText(node, actor)}`),
    ...(hidden > 0 ? [`  and ${hidden} more actors: --all lists them`] : []),
  ];
}
const ACTORS = 40;

function actorText(node: string, actor: ActorSummary): string {
  const { path, role, life, turns, first_ms, last_ms, by_kind, why_not } = actor;
  const name = `${node}${path}${life === 0 ? "" : ` --life ${life}`}`;
  const what = role === "" ? "" : ` (${role})`;
  const can = why_not === undefined ? "can be driven" : `can be listed, not driven: ${why_not}`;
  const span = seconds(last_ms - first_ms);
  return `${name}${what}  ${turns} turns in ${span}: ${countsText(by_kind)}; ${can}`;
}

export function turnLines(turn: DrivenTurn, since_ms: number): string[] {
  const { number, turn: what, kind, at_ms, value, did, differs, state } = turn;
  const at = seconds(at_ms - since_ms);
  return [
    `${number}  +${at}  ${what} ${kind}${state === undefined ? "" : `  state ${state}`}`,
    ...(value === undefined ? [] : [`    ${cut(canonical(value))}`]),
    ...did.map((text) => `    → ${cut(text)}`),
    ...(differs === undefined ? [] : [`    ✗ ${differs}`]),
  ];
}

export function drivenLines(life: RecordedLife, driven: Driven): string[] {
  const { actor, header, behind_hole } = life;
  const { turns, compared, equal_until, differs, state_hash, state } = driven;
  const recorded = life.turns.findLast(({ state, number }) => state.length > 0 && number < turns);
  const then = recorded === undefined ? "none" : hexOf(recorded.state);
  return [
    `${header.node}${actor.path}: ${turns} turns driven, state compared after ${compared} of them`,
    ...(behind_hole > 0 ? [`${behind_hole} turns behind a hole are left out`] : []),
    `state now   ${state_hash}`,
    `state then  ${then}${recorded === undefined ? "" : `, after turn ${recorded.number}`}`,
    ...(differs === undefined
      ? [equalText(equal_until)]
      : [
          `differs after turn ${differs.number} (${differs.turn} ${differs.kind}): ${differs.differs}`,
        ]),
    cut(canonical(state)),
  ];
}

const equalText = (until: number | undefined) =>
  until === undefined
    ? "the recording has no state to compare with"
    : `equal: it did and became the same, compared last after turn ${until}`;

function countsText(counts: Counts): string {
  if (counts.size === 0) return "nothing";
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(KINDS).reduce((sum, [, count]) => sum + count, 0);
  const shown = sorted.slice(0, KINDS).map(([kind, count]) => `${count} ${kind}`);
  return [...shown, ...(rest > 0 ? [`${rest} others`] : [])].join(", ");
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(3)} s`;
const dateOf = (wall_ms: number): string => new Date(wall_ms).toISOString();
const cut = (text: string): string =>
  text.length <= VALUE_CHARS ? text : `${text.slice(0, VALUE_CHARS)}…`;
