/** Carries out what a person asked for: a message to whoever can, and one line in the log. */
import type { AddWorkers, ControlActor, FaultProcess, PoolMessage } from "../../../proto/index.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { ANSWER_DEADLINE_MS, type Door, type Place, placeOf } from "../door/door.ts";
import { workerRoles } from "../process-inspector.ts";
import type { ActsOptions } from "./acts-options.ts";
import { type Command, namedAct, undoAdd, undoControl, undoRetire } from "./command.ts";
import { whyForGood } from "./for-good.ts";

export type Outcome = {
  readonly status: number;
  readonly body: object;
  /** Absent: it was done. */
  readonly error?: string;
  readonly undo?: Command | undefined;
};

/** Those that the actors inside a process carry out. */
const inside: readonly string[] = ["drain", ...workerRoles];
/** Beyond the budget of a start or a drain. */
const POOL_MARGIN_MS = 30_000;
/** A start without a budget of its own ends by its model's size; nobody waits longer for it here. */
const START_MOST_MS = 2 * 3_600_000;
const DRAIN_MOST_MS = 2 * 3_600_000;

/** Never rejects. The act is in the log from its begin on, and its end is one line of the log. */
export async function perform(
  command: Command,
  who: string,
  door: Door,
  acts: ActsOptions,
): Promise<Outcome & { readonly act: string }> {
  const { id } = acts.log.begin(command, who);
  let outcome: Outcome;
  try {
    outcome = await carryOut(command, id, door, acts);
  } catch (error) {
    outcome = failure(500, errorText(error));
  }
  const { error, undo } = outcome;
  acts.log.end(id, { ...(error === undefined ? {} : { error }), ...(undo && { undo }) });
  const { what, target } = namedAct(command);
  const { log } = door.system.capabilities;
  const fields = { act: id, who, ...(error === undefined ? {} : { error }) };
  log.log("warn", `a person's act: ${what} ${target}`.trimEnd(), fields);
  return { ...outcome, act: id };
}

function carryOut(command: Command, id: string, door: Door, acts: ActsOptions): Promise<Outcome> {
  switch (command.kind) {
    case "control":
      return control(command, door);
    case "fault":
      return fault(command, door);
    case "add":
      return add(command, id, door, acts);
    case "retire":
      return retire(command, id, door, acts);
    case "weights":
      return weights(command, acts);
  }
}

const failure = (status: number, error: string): Outcome => ({ status, body: { error }, error });

const noActor = (id: string) =>
  failure(404, `"${id}" is no actor's id, which is a node's name and a path, as root/cluster`);

async function control(
  { place: id, action }: Extract<Command, { kind: "control" }>,
  door: Door,
): Promise<Outcome> {
  const place = placeOf(id);
  if (place === undefined) return noActor(id);
  const { node, path } = inside.includes(action) ? await insideOf(door, place) : place;
  const owner = door.inspectorOf(node);
  if (owner === undefined) return failure(404, `there is no process ${node}`);
  const refused = whyForGood(path, action, {
    inspector: owner.address.path,
    door: node === door.system.node ? door.path : undefined,
  });
  if (refused !== undefined) return failure(409, refused);
  const role = workerRoles.some((each) => each === action)
    ? await roleOf(door, { node, path })
    : undefined;
  const message: ControlActor = { kind: "control_actor", path, action };
  try {
    const { done } = await door.system.ask(owner, message, { deadline_ms: ANSWER_DEADLINE_MS });
    if (!done) return failure(404, `${node} has no ${path} that can ${action}`);
    const undo = undoControl(id, action, role);
    return { status: 200, body: { node, path, action, done }, undo };
  } catch (error) {
    return failure(503, `${node} does not answer: ${errorText(error)}`);
  }
}

/** The actors inside a process do it, so the command goes to its inspector. */
async function insideOf(door: Door, place: Place): Promise<Place> {
  const { node, pid } = (await door.snapshotOf(place)) ?? {};
  const isProcess = typeof node === "string" && typeof pid === "number";
  return isProcess ? { node, path: "" } : place;
}

/** A process of one worker has that worker's name. */
async function roleOf(door: Door, { node, path }: Place): Promise<string | undefined> {
  const said = await door.snapshotOf({ node, path: path === "" ? `/worker/${node}` : path });
  return typeof said?.["role"] === "string" ? said["role"] : undefined;
}

async function fault(
  { place: id, fault, seconds }: Extract<Command, { kind: "fault" }>,
  door: Door,
): Promise<Outcome> {
  const place = placeOf(id);
  if (place === undefined) return noActor(id);
  const { node, path } = place;
  const owner = door.inspectorOf(node);
  if (owner === undefined) return failure(404, `there is no process ${node}`);
  const message: FaultProcess = { kind: "fault_process", path, fault, for_ms: seconds * 1_000 };
  try {
    const { pid } = await door.system.ask(owner, message, { deadline_ms: ANSWER_DEADLINE_MS });
    if (pid === 0) {
      return failure(404, `${id} is no process of ${node}; the tree names some, of kind "process"`);
    }
    return { status: 200, body: { node, path, fault, pid, done: true } };
  } catch (error) {
    return failure(503, `${node} does not answer: ${errorText(error)}`);
  }
}

async function add(
  { machine, model, role, count, ready_s }: Extract<Command, { kind: "add" }>,
  id: string,
  door: Door,
  { pools }: ActsOptions,
): Promise<Outcome> {
  const pool = machine === "" ? ownPool(pools()) : poolNamed(machine, pools());
  if (pool === undefined) return failure(404, noPool(machine, pools()));
  const ready_ms = Math.ceil(ready_s * 1_000);
  const message: AddWorkers & { readonly kind: "add_workers" } = {
    ...{ kind: "add_workers", change: changeName(door, id), epoch: 0 },
    ...{ model, count, ready_ms, ...(role === undefined ? {} : { role }) },
  };
  const deadline_ms = ready_ms === 0 ? START_MOST_MS : ready_ms + POOL_MARGIN_MS;
  const { workers, failed, refused } = await door.system.ask(pool, message, { deadline_ms });
  if (refused !== "") return failure(409, refused);
  const undo = undoAdd(workers);
  if (failed.length === 0) return { status: 200, body: { workers }, undo };
  const error = failed.map(({ worker, why }) => `${worker}: ${why}`).join("; ");
  return {
    status: workers.length === 0 ? 503 : 200,
    body: { workers, failed, error },
    error,
    undo,
  };
}

async function retire(
  { workers }: Extract<Command, { kind: "retire" }>,
  id: string,
  door: Door,
  { pools, log }: ActsOptions,
): Promise<Outcome> {
  const all = pools();
  // By name: each look for a pool of another machine gives another ref.
  const byPool = new Map<string, { readonly pool: Ref<PoolMessage>; readonly names: string[] }>();
  for (const worker of new Set(workers)) {
    const pool = poolOf(worker, all);
    if (pool === undefined) return failure(404, `there is no worker ${worker}`);
    const { node } = pool.address;
    byPool.set(node, { pool, names: [...(byPool.get(node)?.names ?? []), worker] });
  }
  const change = changeName(door, id);
  const answers = await Promise.all(
    [...byPool.values()].map(({ pool, names }) => {
      const message = { kind: "retire_workers", change, epoch: 0, workers: names } as const;
      const options = { deadline_ms: DRAIN_MOST_MS };
      return door.system.ask(pool, { ...message, budget_ms: 0 }, options);
    }),
  );
  const retired = answers.flatMap((each) => each.retired);
  const failed = answers.flatMap((each) => each.failed);
  log.retired(retired.map(({ worker }) => worker));
  const [machine = ""] = byPool.keys();
  const undo = byPool.size === 1 ? undoRetire(retired, machine) : undefined;
  const rows = retired.map(({ worker, finished, unfinished }) => {
    return { worker, finished, unfinished };
  });
  if (failed.length === 0) return { status: 200, body: { workers: rows }, undo };
  const error = failed.map(({ worker, why }) => `${worker}: ${why}`).join("; ");
  const status = retired.length === 0 ? 404 : 200;
  return { status, body: { workers: rows, failed, error }, error, undo };
}

async function weights(
  { weights }: Extract<Command, { kind: "weights" }>,
  { router }: ActsOptions,
): Promise<Outcome> {
  try {
    const { page, before, told, silent } = await router.change(weights);
    const undo: Command = { kind: "weights", weights: before };
    return { status: 200, body: { ...page, routers: { told, silent } }, undo };
  } catch (error) {
    return failure(409, errorText(error));
  }
}

/** Another root's acts have the same numbers. */
const changeName = ({ system }: Door, id: string) => `${system.node}/${system.incarnation}/${id}`;

const ownPool = (pools: readonly Ref<PoolMessage>[]) => pools.find(({ local }) => local);

const poolNamed = (machine: string, pools: readonly Ref<PoolMessage>[]) =>
  pools.find(({ address }) => address.node === machine);

/** Of several machines the names of workers begin with that of their root. */
const poolOf = (worker: string, pools: readonly Ref<PoolMessage>[]) =>
  pools.find(({ address }) => worker.startsWith(`${address.node}.`)) ?? ownPool(pools);

function noPool(machine: string, pools: readonly Ref<PoolMessage>[]): string {
  const names = pools.map(({ address }) => address.node).join(", ");
  if (machine !== "") return `no machine ${machine} has workers; those that do: ${names || "none"}`;
  return `this machine has no workers; name the machine that is to have one: ${names || "none"}`;
}
