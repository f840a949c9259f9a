/** What is different between two JSON values, as one tree to be shown; pure. */
import type { Json } from "./types.ts";

/** `changed`: a value that is another one now; `holds`: it stays, and something in it changed. */
export type Change = "same" | "holds" | "added" | "removed" | "changed";

export type Diff = {
  readonly change: Change;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
  /** By name or index, for objects and lists that stay. */
  readonly inside?: readonly (readonly [name: string, diff: Diff])[];
};

type Group = { readonly [name: string]: Json } | readonly Json[];

const isGroup = (value: Json | undefined): value is Group =>
  typeof value === "object" && value !== null;

export function diffOf(before: Json | undefined, after: Json | undefined): Diff {
  if (before === undefined) return { change: "added", before, after };
  if (after === undefined) return { change: "removed", before, after };
  if (isGroup(before) && isGroup(after) && Array.isArray(before) === Array.isArray(after)) {
    const was = before as Readonly<Record<string, Json>>;
    const is = after as Readonly<Record<string, Json>>;
    const names = [...Object.keys(is), ...Object.keys(was).filter((name) => !(name in is))];
    const inside = names.map((name) => [name, diffOf(was[name], is[name])] as const);
    const isSame = inside.every(([, { change }]) => change === "same");
    return { change: isSame ? "same" : "holds", before, after, inside };
  }
  return { change: Object.is(before, after) ? "same" : "changed", before, after };
}

/** How many values were added, removed or changed. */
export function changesIn({ change, inside }: Diff): number {
  if (change === "same") return 0;
  if (change !== "holds") return 1;
  return (inside ?? []).reduce((sum, [, diff]) => sum + changesIn(diff), 0);
}
