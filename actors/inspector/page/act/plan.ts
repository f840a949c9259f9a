/** An act before it is done: what it is, what will happen, how the server is asked. */
import type { Method } from "../data/types.ts";
import type { IconName } from "../ui/icon-paths.ts";

/** A figure that the reader may change before the act. */
export type PlanField = {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
};

/** Something that the reader chooses from a list before the act. */
export type PlanChoice = {
  readonly name: string;
  readonly label: string;
  readonly options: readonly (readonly [value: string, text: string])[];
};

/** Given: a field's value, and what was chosen, by the choices' names. */
export type PlanInput = {
  readonly value: number;
  readonly chosen: Readonly<Record<string, string>>;
};

export type Plan = {
  /** What stands on the button that opens the dialog, and on the one that does it. */
  readonly verb: string;
  readonly icon: IconName;
  /** What stands beside the icon where there is little room; absent: the icon says it. */
  readonly short?: string;
  /** What it is done to, as people call it. */
  readonly target: string;
  /** Sentences: what will happen, what is lost, what can be undone. */
  readonly says: readonly string[];
  readonly danger: boolean;
  readonly method: Method;
  readonly path: string;
  readonly field?: PlanField;
  /** The first option of each is chosen at first. */
  readonly choices?: readonly PlanChoice[];
  readonly body?: (input: PlanInput) => unknown;
};
