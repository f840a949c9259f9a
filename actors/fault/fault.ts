/**
 * The face of `fault`: one injector a process, with named points at which things go wrong on
 * purpose. The simulator and the tests of real processes use the same plans (`plan.ts` lists the
 * points and what each can do).
 *
 *     TROUPE_FAULTS ─▶ plan ─▶ injector ◀─ set_faults ─ FaultActor
 *                                 │
 *              net, files, store ─┴─ each message and step of each actor, each step of an engine
 *
 * Without the variable there is no injector: nothing is wrapped, and nobody listens for a plan.
 */
import type { Capabilities } from "../../runtime/capabilities.ts";
import { faultyCapabilities } from "./faulty-world.ts";
import { FaultInjector } from "./injector.ts";
import { FAULTS_VARIABLE, readPlan } from "./plan.ts";

export { FaultActor } from "./fault-actor.ts";
export { FaultyEngine } from "./faulty-engine.ts";
export { FaultInjector, InjectedFault } from "./injector.ts";
export {
  FAULTS_VARIABLE,
  type FaultDeed,
  type FaultPlan,
  FaultPlanError,
  type FaultPoint,
  type FaultRule,
  faultPoints,
  partition,
  readPlan,
} from "./plan.ts";

export type FaultyWorld = {
  readonly capabilities: Capabilities;
  /** For `createSystem`; undefined when nothing is injected. */
  readonly steps: FaultInjector | undefined;
};

/** The world of a process as its environment wants it. Throws FaultPlanError. */
export function faultyWorld(
  node: string,
  capabilities: Capabilities,
  env: Readonly<Record<string, string | undefined>>,
  exit: (code: number, why: string) => void,
): FaultyWorld {
  const text = env[FAULTS_VARIABLE];
  if (text === undefined || text === "") return { capabilities, steps: undefined };
  const plan = readPlan(text);
  const injector = new FaultInjector({ node, clock: capabilities.clock, exit }, plan);
  return { capabilities: faultyCapabilities(capabilities, injector), steps: injector };
}
