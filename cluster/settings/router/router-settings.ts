import type { RouterFlagSettings } from "../../../actors/router/flags.ts";
import type { PolicyClassSettings } from "./policy-classes.ts";

export type RouterSettings = Omit<RouterFlagSettings, "classes" | "weights"> & {
  readonly classes: readonly PolicyClassSettings[];
  readonly weights: Readonly<Record<string, number>>;
};
