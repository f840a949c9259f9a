/**
 * The child processes of a root: each in a slot under the supervisor of its role, started with its
 * boot record, watched for crash loops, and ended for good when it is wanted no more.
 */
import type { ProcessExit } from "../../runtime/capabilities.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { Message } from "../../runtime/kernel/message.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { rootPaths } from "../../supervisors/paths.ts";
import { processSlot } from "../../supervisors/process-slot.ts";
import { type Boot, bootToEnvironment, FATAL_PREFIX, SERVING_STAGE } from "../boot.ts";
import type { ChildBoot } from "../child-boots.ts";
import { CrashLoops } from "../crash-loops.ts";
import type { Discovery } from "../discovery.ts";
import { SettingsError } from "../settings/settings-error.ts";
import { namedAfter } from "../settings/worker-counts.ts";
import { type SlotStart, Slots } from "../slots.ts";
import { readyBudget_ms } from "../start-budget.ts";
import { WorkerCrashes } from "../worker-crashes.ts";

export type ChildrenWorld = {
  /** Status for a person; one line. */
  readonly status: (text: string, fraction?: number) => void;
  /** A line that a child wrote to its stderr. */
  readonly passLine: (line: string) => void;
  /** A frontend can answer for every model that there is. */
  readonly serving: (node: string) => void;
};

const slotsOf = {
  worker: rootPaths.workers,
  router: rootPaths.routers,
  frontend: rootPaths.frontends,
  kv: rootPaths.kv,
  planner: rootPaths.planners,
} as const;

/** For an end, beside the drain. */
const STOP_MS = 5_000;
/** Until the supervisors above a process have seen its end. */
const END_MARGIN_MS = 5_000;

/** Why a process of its own could not start: what it said, else how it ended. */
export class ChildStartError extends Error {
  /** It said so itself, so another try would end alike. */
  readonly final: boolean;

  constructor(message: string, final: boolean) {
    super(message);
    this.final = final;
  }
}

type Child = { readonly child: ChildBoot; boot: Boot; said: string | undefined };

export class Children {
  readonly #world: ChildrenWorld;
  readonly #loops: CrashLoops;
  readonly #crashes: WorkerCrashes;
  readonly #slots: Readonly<Record<Boot["role"], Slots>>;
  /** By node. */
  readonly #children = new Map<string, Child>();
  #closed = false;

  constructor(system: ActorSystem, discovery: Discovery, world: ChildrenWorld) {
    this.#world = world;
    this.#loops = new CrashLoops(system, discovery);
    this.#crashes = new WorkerCrashes(system, discovery);
    this.#slots = {
      worker: new Slots(system, slotsOf.worker),
      router: new Slots(system, slotsOf.router),
      frontend: new Slots(system, slotsOf.frontend),
      kv: new Slots(system, slotsOf.kv),
      planner: new Slots(system, slotsOf.planner),
    };
  }

  /** True: no more are wanted, as the cluster stops. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Once the tree stands: which of the supervisors that not each root has are there. */
  watch(has: { readonly kv: boolean; readonly planner: boolean }): void {
    const { kv, planner, ...others } = this.#slots;
    for (const slots of Object.values(others)) slots.watch();
    if (has.kv) kv.watch();
    if (has.planner) planner.watch();
  }

  /** All at once. Rejects with SettingsError: one line that says why one of them cannot start. */
  async startAll(children: readonly ChildBoot[]): Promise<void> {
    const results = await Promise.allSettled(children.map((child) => this.start(child)));
    const failed = results.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    if (failed.length === 0) return;
    const said = failed.findLast((error) => error instanceof ChildStartError && error.final);
    if (said !== undefined) throw new SettingsError(said.message);
    throw new SettingsError(`a process could not start: ${errorText(failed[0])}`);
  }

  /**
   * Resolves when its process is ready. Rejects with ChildStartError; then nothing is left of it.
   * @param ready_ms as long as its model's size asks for, if not given
   */
  async start(child: ChildBoot, ready_ms = readyBudget_ms(child.weight_bytes)): Promise<void> {
    const { node, boot } = child;
    const entry: Child = { child, boot, said: undefined };
    this.#children.set(node, entry);
    this.#loops.watch(node);
    try {
      await this.#slots[boot.role].start(this.#slotOf(entry, ready_ms));
    } catch (error) {
      this.#forget(entry);
      throw new ChildStartError(entry.said ?? errorText(error), entry.said !== undefined);
    }
  }

  /** Ends a process for good. It drains first. Rejects when it does not end within its budgets. */
  async end(node: string): Promise<void> {
    const entry = this.#children.get(node);
    if (entry === undefined) return;
    await this.#slots[entry.boot.role].end(node);
    this.#forget(entry);
  }

  /** From its next start on the process gets this record. */
  refit(node: string, boot: Boot): void {
    const entry = this.#children.get(node);
    if (entry !== undefined) entry.boot = boot;
  }

  close(): void {
    this.#closed = true;
    for (const slots of Object.values(this.#slots)) slots.close();
  }

  #forget(entry: Child): void {
    const { node } = entry.child;
    if (this.#children.get(node) !== entry) return;
    this.#children.delete(node);
    this.#loops.unwatch(node);
  }

  #slotOf(entry: Child, ready_ms: number): SlotStart {
    const { node, boot, under = [] } = entry.child;
    const path = `${slotsOf[boot.role]}/${node}`;
    const stop_budget_ms = STOP_MS + boot.drain_timeout_ms;
    const options = {
      ...{ node, under, ready_timeout_ms: ready_ms, stop_budget_ms },
      role: boot.role === "worker" ? namedAfter(boot.worker_role) : boot.role,
      env: () => bootToEnvironment(entry.boot),
      onLine: (line: string) => {
        if (line.startsWith(FATAL_PREFIX)) entry.said = line.slice(FATAL_PREFIX.length);
        else this.#world.passLine(line);
      },
      onMessage: (message: Message) => this.#onProgress(node, message),
      onExit: (exit: ProcessExit) => {
        if (entry.boot.role === "worker") this.#crashes.take(entry.boot.workers, exit);
      },
      onLoop: (change: Parameters<CrashLoops["take"]>[2]) => this.#loops.take(node, path, change),
    };
    const stop_ms = stop_budget_ms + END_MARGIN_MS;
    return { id: node, spec: (first) => processSlot(options, first), ready_ms, stop_ms };
  }

  #onProgress(node: string, message: Message): void {
    if (message.kind !== "progress") return;
    const { stage, fraction, detail } = message as Message & {
      stage: string;
      fraction: number;
      detail: string;
    };
    if (stage === SERVING_STAGE) this.#world.serving(node);
    else
      this.#world.status(
        `${node}: ${stage} ${detail}`,
        stage === "load" && detail !== "" ? fraction : undefined,
      );
  }
}
