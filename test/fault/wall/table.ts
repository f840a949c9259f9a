/** The fault wall for people (a table that is also Markdown) and for programs (one JSON a line). */
import type { Verdict } from "./run-row.ts";

const head = [
  "Row",
  "Requests",
  "Complete",
  "Clean errors",
  "Lost",
  "Twice",
  "Hung",
  "Wrong",
  "Longest gap, ms",
  "Pass",
];

export const tableHead = (): string =>
  `| ${head.join(" | ")} |\n|${head.map((_, i) => (i === 0 ? "---|" : "---:|")).join("")}`;

export function tableRow(verdict: Verdict): string {
  return `| ${cells(verdict).join(" | ")} |`;
}

function cells(verdict: Verdict): readonly (string | number)[] {
  const name = `${verdict.row.name}: ${verdict.row.what}`;
  const empty = Array.from({ length: head.length - 2 }, () => "–");
  switch (verdict.kind) {
    case "skipped":
      return [name, ...empty, `skipped: ${verdict.why}`];
    case "broken":
      return [name, ...empty, `**no**: ${verdict.why.split("\n")[0]}`];
    case "ran": {
      const { result, pass } = verdict;
      const { requests, complete, clean_errors, lost, duplicated, hung, wrong } = result;
      return [
        name,
        ...[requests, complete, clean_errors, lost, duplicated, hung, wrong],
        Math.round(result.gap_ms),
        pass ? "yes" : "**no**",
      ];
    }
  }
}

export function jsonLine(verdict: Verdict, engine: string, seed: number): string {
  const { row, took_ms, kind } = verdict;
  const common = { row: row.name, engine, seed, kind, took_ms: Math.round(took_ms) };
  if (kind !== "ran") return JSON.stringify({ ...common, pass: false, why: verdict.why });
  const { result, pass } = verdict;
  const figures = Object.fromEntries(
    Object.entries(result).map(([key, value]) => [
      key,
      typeof value === "number" ? Math.round(value * 10) / 10 : value,
    ]),
  );
  return JSON.stringify({ ...common, ...figures, pass });
}

/** What a reader of the table wants to know of a row beside its figures; one a line. */
export function notesOf(verdict: Verdict): string[] {
  if (verdict.kind === "broken") return verdict.why.split("\n");
  if (verdict.kind === "skipped") return [];
  const { problems, why, figures, resumed, retried, first_ms } = verdict.result;
  const more = Object.entries({ ...figures, first_ms, resumed, retried })
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name} ${typeof value === "number" ? Math.round(value) : value}`);
  return [
    ...problems,
    ...Object.entries(why).map(([text, count]) => `${count} × ${text}`),
    more.join(", "),
  ];
}
