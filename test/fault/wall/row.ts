/** One row of the fault wall: what is done to a cluster under load, and what must hold after it. */
import type { SeededRandom } from "../../../runtime/simulation/random.ts";
import type { EngineName, References } from "./references.ts";
import type { Tally } from "./tally.ts";

export type World = {
  readonly engine: EngineName;
  readonly references: References;
  readonly random: SeededRandom;
  /** Smaller loads, for the gate. */
  readonly quick: boolean;
  /** Of the soak. */
  readonly minutes: number;
  /** What goes on, for a person. */
  readonly say: (text: string) => void;
};

export type Row = {
  readonly name: string;
  /** What is done, in one line of the table. */
  readonly what: string;
  readonly engines: readonly EngineName[];
  /** Part of `bun run check`. */
  readonly quick?: boolean;
  /** Only when it is named: it takes long. */
  readonly on_demand?: boolean;
  /** Why it cannot run on this machine; undefined: it can. */
  readonly lacks?: () => string | undefined;
  readonly run: (world: World) => Promise<RowResult>;
};

export type Figures = Readonly<Record<string, number | string>>;

export type RowResult = Tally & {
  /** What did not hold beside the requests: a process left, an orphan, a service that is gone. */
  readonly problems: readonly string[];
  /** More figures of this row, units last in their names. */
  readonly figures: Figures;
};

export function hasPassed(result: RowResult): boolean {
  const { lost, duplicated, hung, wrong, problems, requests } = result;
  return requests > 0 && lost + duplicated + hung + wrong === 0 && problems.length === 0;
}
