/** The whole wall, in the order of its table. */
import type { Row } from "../row.ts";
import { workerRows } from "./worker-rows.ts";

export const rows: readonly Row[] = [...workerRows];
