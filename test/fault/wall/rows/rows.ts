/** The whole wall, in the order of its table. */
import type { Row } from "../row.ts";
import { actorRows } from "./actor-rows.ts";
import { apiRows } from "./api-rows.ts";
import { clientRows } from "./client-rows.ts";
import { fleetRows } from "./fleet-rows.ts";
import { freezeRows } from "./freeze-rows.ts";
import { frontendRows } from "./frontend-rows.ts";
import { kvRows } from "./kv-rows.ts";
import { machineRows } from "./machine-rows.ts";
import { pairRows } from "./pair-rows.ts";
import { planeRows } from "./plane-rows.ts";
import { plannerRows } from "./planner-rows.ts";
import { rootRows } from "./root-rows.ts";
import { routerRows } from "./router-rows.ts";
import { stormRows } from "./storm-rows.ts";
import { workerRows } from "./worker-rows.ts";

export const rows: readonly Row[] = [
  ...workerRows,
  ...fleetRows,
  ...plannerRows,
  ...frontendRows,
  ...apiRows,
  ...actorRows,
  ...routerRows,
  ...kvRows,
  ...rootRows,
  ...freezeRows,
  ...pairRows,
  ...planeRows,
  ...clientRows,
  ...machineRows,
  ...stormRows,
];
