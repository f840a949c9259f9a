/** What a person may do over the inspector, as data: how it is asked, named and undone. Pure. */
import type { RetiredWorker, WorkerRole } from "../../../proto/index.ts";

export type Command =
  /** `place`: node and path of an actor. */
  | { readonly kind: "control"; readonly place: string; readonly action: string }
  | {
      readonly kind: "fault";
      readonly place: string;
      readonly fault: "kill9" | "freeze";
      readonly seconds: number;
    }
  | {
      readonly kind: "add";
      /** Empty: the machine of this inspector. */
      readonly machine: string;
      /** Empty: the machine's first. */
      readonly model: string;
      /** Undefined: as the machine's own. */
      readonly role: WorkerRole | undefined;
      readonly count: number;
      /** 0: as long as the model's size asks for. */
      readonly ready_s: number;
    }
  | { readonly kind: "retire"; readonly workers: readonly string[] }
  | { readonly kind: "weights"; readonly weights: Readonly<Record<string, number | null>> };

/** A request that does it. */
export type Asked = {
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body: object | null;
};

export function askedFor(command: Command): Asked {
  switch (command.kind) {
    case "control": {
      const path = `/api/actors/${encodeURIComponent(command.place)}/${command.action}`;
      return { method: "POST", path, body: null };
    }
    case "fault": {
      const { place, fault, seconds } = command;
      const path = `/api/actors/${encodeURIComponent(place)}/fault`;
      return { method: "POST", path, body: fault === "freeze" ? { fault, seconds } : { fault } };
    }
    case "add": {
      const { machine, model, role, count, ready_s } = command;
      const body = {
        ...(machine === "" ? {} : { machine }),
        ...(model === "" ? {} : { model }),
        ...(role === undefined ? {} : { role }),
        ...(ready_s === 0 ? {} : { ready_s }),
        count,
      };
      return { method: "POST", path: "/api/workers", body };
    }
    case "retire": {
      const { workers } = command;
      const [only] = workers;
      if (workers.length !== 1 || only === undefined) {
        return { method: "DELETE", path: "/api/workers", body: { workers } };
      }
      return { method: "DELETE", path: `/api/workers/${encodeURIComponent(only)}`, body: null };
    }
    case "weights":
      return { method: "PUT", path: "/api/router", body: { weights: command.weights } };
  }
}

/** For the log: what was done, and to what. */
export function namedAct(command: Command): { readonly what: string; readonly target: string } {
  switch (command.kind) {
    case "control":
      return { what: command.action, target: command.place };
    case "fault": {
      const { fault, seconds, place } = command;
      return { what: fault === "freeze" ? `freeze ${seconds} s` : fault, target: place };
    }
    case "add": {
      const { count, role, model, machine } = command;
      const what = `add ${count} ${role ?? ""} worker${count === 1 ? "" : "s"}`.replace("  ", " ");
      return { what, target: [model, machine].filter((each) => each !== "").join(" at ") };
    }
    case "retire":
      return { what: "retire", target: command.workers.join(", ") };
    case "weights": {
      const rows = Object.entries(command.weights).map(([name, value]) => `${name}=${value}`);
      return { what: "router weights", target: rows.join(" ") };
    }
  }
}

const opposites: Readonly<Record<string, string>> = {
  suspend: "resume",
  resume: "suspend",
  stop: "restart",
};

/**
 * What takes a control back; undefined: nothing does.
 * @param role_before of the worker, where the action gives it another one
 */
export function undoControl(
  place: string,
  action: string,
  role_before: string | undefined,
): Command | undefined {
  const opposite = opposites[action];
  if (opposite !== undefined) return { kind: "control", place, action: opposite };
  if (role_before === undefined || role_before === action) return undefined;
  return { kind: "control", place, action: role_before };
}

export const undoAdd = (workers: readonly string[]): Command | undefined =>
  workers.length === 0 ? undefined : { kind: "retire", workers };

/** Others come in their place, under names of their own. Undefined: they were of several kinds. */
export function undoRetire(
  retired: readonly RetiredWorker[],
  machine: string,
): Command | undefined {
  const [first] = retired;
  if (first === undefined) return undefined;
  const { model, role } = first;
  if (retired.some((each) => each.model !== model || each.role !== role)) return undefined;
  return { kind: "add", machine, model, role, count: retired.length, ready_s: 0 };
}
