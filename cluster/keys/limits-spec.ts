/** Where the keys of all frontends are counted: in the root's tree. */
import { LimitsActor, type LimitsOptions } from "../../actors/limits/limits.ts";
import type { ChildSpec } from "../../runtime/supervision/child-spec.ts";

/** A cluster without a keys file counts nothing. */
export const limitsSpecs = (key_file: string, options: LimitsOptions): readonly ChildSpec[] =>
  key_file === "" ? [] : [{ id: "limits", start: () => new LimitsActor(options) }];
