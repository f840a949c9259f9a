/** Our Grafana board, as tests read it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Panel = {
  readonly title: string;
  readonly type: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string }[];
};

export type Board = {
  readonly uid: string;
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly panels: readonly Panel[];
};

export function readBoard(): Board {
  const file = join(import.meta.dir, "../../deploy/grafana/troupe.json");
  return JSON.parse(readFileSync(file, "utf8")) as Board;
}

export const queriesOf = ({ panels }: Board): string[] =>
  panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** What Grafana puts in place of its variables where everything is chosen. */
export const filledIn = (expression: string): string =>
  expression.replaceAll("$__rate_interval", "1m").replace(/\$(instance|model)\b/g, ".*");

/** Labels whose names begin as metrics do. */
const labels = ["dynamo_component", "dynamo_endpoint"];

/** Families that an expression names: those of buckets, sums and counts without their ends. */
export function familiesIn(expression: string): string[] {
  const found = expression.matchAll(/\b((?:dynamo|kvbm|troupe)_\w+)/g);
  const names = [...found].map(([, name = ""]) => name.replace(/_(bucket|sum|count)$/, ""));
  return names.filter((name) => !labels.includes(name));
}
