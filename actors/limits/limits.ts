/** Face of the role: what other roles and the trees may use of it. */
export { Ledger } from "./ledger.ts";
export { LimitsActor, type LimitsOptions } from "./limits-actor.ts";
export { RedisUsage } from "./redis-usage.ts";
export { type Decision, dayOf, type Now, type RefusedBy } from "./usage.ts";
