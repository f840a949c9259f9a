/** Bodies of requests that change something → commands, or a line that says what is wrong. */
import { workerRoles } from "../process-inspector.ts";
import type { Command } from "./command.ts";

export type Read = { readonly command: Command } | { readonly wrong: string };

type Fields = Readonly<Record<string, unknown>>;

const FREEZE_MOST_S = 60;
const COUNT_MOST = 256;
const READY_MOST_S = 7_200;

export function readFault(place: string, body: Fields): Read {
  const stray = strayField(body, ["fault", "seconds"]);
  if (stray !== undefined) return { wrong: stray };
  const { fault, seconds } = body;
  if (fault === "kill9") return { command: { kind: "fault", place, fault, seconds: 0 } };
  if (fault !== "freeze") {
    return {
      wrong: 'fault is "kill9", or "freeze" with seconds: {"fault": "freeze", "seconds": 3}',
    };
  }
  if (typeof seconds !== "number" || !(seconds > 0 && seconds <= FREEZE_MOST_S)) {
    return { wrong: `seconds is a number above 0 and up to ${FREEZE_MOST_S}` };
  }
  return { command: { kind: "fault", place, fault, seconds } };
}

export function readAdd(body: Fields): Read {
  const stray = strayField(body, ["model", "role", "count", "machine", "ready_s"]);
  if (stray !== undefined) return { wrong: stray };
  const { model = "", role, count = 1, machine = "", ready_s = 0 } = body;
  if (typeof model !== "string") return { wrong: "model is the served name of a model" };
  if (typeof machine !== "string") return { wrong: "machine is the name of a machine's root" };
  const own = workerRoles.find((each) => each === role);
  if (role !== undefined && own === undefined) {
    return { wrong: `role is one of ${workerRoles.join(", ")}` };
  }
  if (!isWhole(count, 1, COUNT_MOST)) return { wrong: `count is a number from 1 to ${COUNT_MOST}` };
  if (typeof ready_s !== "number" || !(ready_s >= 0 && ready_s <= READY_MOST_S)) {
    return { wrong: `ready_s is a number of seconds up to ${READY_MOST_S}` };
  }
  return { command: { kind: "add", machine, model, role: own, count, ready_s } };
}

export function readRetire(body: Fields): Read {
  const { workers } = body;
  const names = Array.isArray(workers) ? workers : [];
  const all = names.every((name): name is string => typeof name === "string" && name !== "");
  if (names.length === 0 || names.length > COUNT_MOST || !all) {
    return { wrong: 'name the workers: {"workers": ["worker-1"]}, or DELETE /api/workers/NAME' };
  }
  return { command: { kind: "retire", workers: names } };
}

export function readWeights(body: Fields): Read {
  const { weights } = body;
  if (typeof weights !== "object" || weights === null || Array.isArray(weights)) {
    return { wrong: 'give {"weights": {"NAME": NUMBER}}; null takes one back to the flags' };
  }
  const rows = Object.entries(weights);
  const odd = rows.find(([, value]) => value !== null && typeof value !== "number");
  if (odd !== undefined) return { wrong: `${odd[0]} is a number, or null for the flags' own` };
  return { command: { kind: "weights", weights: Object.fromEntries(rows) } };
}

const isWhole = (value: unknown, least: number, most: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;

function strayField(body: Fields, known: readonly string[]): string | undefined {
  const stray = Object.keys(body).find((name) => !known.includes(name));
  return stray === undefined
    ? undefined
    : `there is no field "${stray}"; it takes ${known.join(", ")}`;
}
