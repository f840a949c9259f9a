/** The inspector of one process: it answers for the actors that live there. */
import type {
  ChangeRole,
  ControlActor,
  ControlDone,
  Drain,
  FaultProcess,
  InspectMessage,
  RequestList,
  Snapshot,
  Tree,
  WorkerRole,
} from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import { Actor } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { controlActions } from "../../runtime/kernel/system.ts";
import { type BlockMeter, watchEventLoop } from "../../runtime/observe/event-loop.ts";
import type { HarmProcess } from "../../runtime/process/spawn.ts";
import { orphansIn } from "../../runtime/supervision/orphan-watch.ts";
import type { SupervisorMessage } from "../../runtime/supervision/supervisor.ts";
import { detailsOf } from "./details.ts";
import { loadFigures } from "./load/figures.ts";
import { Watching } from "./watching.ts";

/** The requests of this process, as a frontend has them. */
export interface RequestsShown {
  /** All live ones, and of those that have ended the ones with a number above `after`. */
  list(after: number): RequestList;
  /** Undefined: there is none of that id. */
  page(id: string, follow: boolean): object | undefined;
}

export type ProcessInspectorOptions = {
  readonly role: string;
  readonly requests?: RequestsShown;
  /** Budget of a drain over the inspector. Default 30,000. */
  readonly drain_ms?: number;
};

/** Of a process that takes none. */
const noRequests: RequestList = { kind: "request_list", rows: [], first: 1, last: 0 };

const DRAIN_DEFAULT_MS = 30_000;
/** Time for the reply, added to the budget. */
const ANSWER_MS = 1_000;
/** An actor that is retired has drained before. */
const RETIRE_MS = 5_000;
/** What a worker may become. */
export const workerRoles = ["aggregated", "prefill", "decode"] as const;
/** Roles of actors that understand ChangeRole. */
export const workerActors: readonly string[] = ["worker", "prefill", "decode"];
/** And Drain. */
const drainable: readonly string[] = [...workerActors, "frontend"];

export class ProcessInspector extends Actor<InspectMessage> {
  readonly #options: ProcessInspectorOptions;
  #meter: BlockMeter | undefined;
  #watching: Watching | undefined;

  constructor(options: ProcessInspectorOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    this.#meter = watchEventLoop(this.ctx.clock);
    this.#watching = new Watching(this.ctx.system);
  }

  override receive(message: InspectMessage): void {
    switch (message.kind) {
      case "get_tree":
        this.ctx.reply(this.#tree());
        return;
      case "get_snapshot":
        this.ctx.reply(this.#snapshot(message.path));
        return;
      case "get_process":
        this.ctx.reply({
          kind: "process_info",
          node: this.ctx.system.node,
          pid: this.ctx.capabilities.spawn.pid,
          role: this.#options.role,
          resident_bytes: this.ctx.capabilities.spawn.resident_bytes(),
          event_loop_block_ms_max: this.#meter?.block_ms_max() ?? 0,
          metrics: this.ctx.system.metrics.render(),
          orphans: orphansIn(this.ctx.system.metrics),
        });
        return;
      case "get_load":
        this.ctx.reply(loadFigures(this.ctx.system, this.#options.role));
        return;
      case "get_details": {
        const { roles, detail, about } = message;
        const { system } = this.ctx;
        const items = detailsOf(system, roles, detail, about);
        this.ctx.reply({ kind: "details", node: system.node, items });
        return;
      }
      case "control_actor":
        if (message.action === "retire") this.#retire(message.path);
        else this.ctx.reply(this.#control(message));
        return;
      case "get_tree_delta":
        this.#answer((watching) => watching.treeDelta(message));
        return;
      case "end_watch":
        this.#watching?.end(message.watch);
        return;
      case "get_actor":
        this.#answer((watching) => watching.actor(message));
        return;
      case "fault_process":
        this.#fault(message);
        return;
      case "get_requests": {
        this.ctx.reply(this.#options.requests?.list(message.after) ?? noRequests);
        return;
      }
      case "get_request": {
        const page = this.#options.requests?.page(message.id, message.follow);
        const json = JSON.stringify(page ?? null);
        this.ctx.reply({ kind: "request_said", found: page !== undefined, json });
        return;
      }
    }
  }

  /** A walk gives way to others, which may ask this actor meanwhile. */
  #answer(look: (watching: Watching) => Promise<object>): void {
    const { log } = this.ctx;
    const port = this.ctx.replyLater();
    if (this.#watching === undefined) return;
    look(this.#watching).then(
      (answer) => void port.reply(answer),
      (error: unknown) => {
        log.log("warn", "could not look at its actors", { error: errorText(error) });
        port.fail("refused", errorText(error));
      },
    );
  }

  override release(): void {
    this.#watching?.stop();
    this.#meter?.stop();
  }

  override inspect() {
    const { watches = 0, recorded = [] } = this.#watching ?? {};
    return { event_loop_block_ms_max: this.#meter?.block_ms_max() ?? 0, watches, recorded };
  }

  #tree(): Tree {
    const { system, capabilities } = this.ctx;
    return {
      kind: "tree",
      node: system.node,
      pid: capabilities.spawn.pid,
      nodes: system.tree(),
    };
  }

  #control({ path, action }: ControlActor): ControlDone {
    const known = controlActions.find((name) => name === action);
    const role = workerRoles.find((name) => name === action);
    const done =
      role !== undefined
        ? this.#changeRole(path, role)
        : action === "drain"
          ? this.#drain(path)
          : known !== undefined && this.ctx.system.control(path, known);
    this.ctx.log.log("debug", `an actor is to ${action}`, { path, done });
    return { kind: "control_done", done };
  }

  /** Ends an actor for the life of its process: its supervisor owes it no more. */
  #retire(path: string): void {
    const { system } = this.ctx;
    const port = this.ctx.replyLater();
    const done = (done: boolean) => port.reply({ kind: "control_done", done });
    const slash = path.lastIndexOf("/");
    const parent = system.lookup(path.slice(0, slash)) as Ref<SupervisorMessage> | undefined;
    if (parent === undefined) {
      done(false);
      return;
    }
    const message = { kind: "terminate_child", id: path.slice(slash + 1) } as const;
    system.ask(parent, message, { deadline_ms: RETIRE_MS }).then(done, () => done(false));
  }

  /** Replies once it is done; its process actor knows the process. */
  #fault({ path, fault: harm, for_ms }: FaultProcess): void {
    const { system } = this.ctx;
    const port = this.ctx.replyLater();
    const faulted = (pid: number) => port.reply({ kind: "process_faulted", pid });
    const isProcess = system.tree().some((node) => node.path === path && node.kind === "process");
    const process = system.lookup(path) as Ref<HarmProcess> | undefined;
    if (process === undefined || !isProcess || (harm !== "kill9" && harm !== "freeze")) {
      faulted(0);
      return;
    }
    const message = { kind: "process_harm", harm, for_ms } as const;
    system.ask(process, message, { deadline_ms: ANSWER_MS }).then(faulted, () => faulted(0));
  }

  /** The actors of these roles at the path, or below it. */
  #at(path: string, roles: readonly string[]) {
    return this.ctx.system
      .tree()
      .filter((node) => node.kind === "actor" && roles.includes(node.role))
      .filter((node) => node.path === path || node.path.startsWith(`${path}/`));
  }

  /** Workers drain, and come back with the role. Replies are not awaited. */
  #changeRole(path: string, role: WorkerRole): boolean {
    const { system, log } = this.ctx;
    const budget_ms = this.#options.drain_ms ?? DRAIN_DEFAULT_MS;
    const found = this.#at(path, workerActors);
    for (const node of found) {
      const ref = system.lookup(node.path) as Ref<ChangeRole> | undefined;
      if (ref === undefined) continue;
      const deadline_ms = budget_ms + ANSWER_MS;
      system.ask(ref, { kind: "change_role", role, budget_ms }, { deadline_ms }).then(
        (changed) => log.log("info", "has its role", { path: node.path, role: changed.role }),
        (error: unknown) =>
          log.log("warn", "its role did not change", { path: node.path, error: String(error) }),
      );
    }
    return found.length > 0;
  }

  /**
   * Drains the actor at the path, or all drainable ones below it, each of which begins anew then.
   * Replies are not awaited.
   */
  #drain(path: string): boolean {
    const { system, log } = this.ctx;
    const budget_ms = this.#options.drain_ms ?? DRAIN_DEFAULT_MS;
    const found = this.#at(path, drainable);
    for (const node of found) {
      const ref = system.lookup(node.path) as Ref<Drain> | undefined;
      if (ref === undefined) continue;
      const deadline_ms = budget_ms + ANSWER_MS;
      system.ask(ref, { kind: "drain", budget_ms, nobody_follows: false }, { deadline_ms }).then(
        ({ finished, unfinished }) => {
          log.log("info", "drained", { path: node.path, finished, unfinished });
          // Its supervisor owes as many as it was asked for.
          system.control(node.path, "restart");
        },
        (error: unknown) =>
          log.log("warn", "could not be drained", { path: node.path, error: String(error) }),
      );
    }
    return found.length > 0;
  }

  #snapshot(path: string): Snapshot {
    const snapshot = this.ctx.system.snapshot(path);
    return {
      kind: "snapshot",
      path,
      found: snapshot !== undefined,
      json: JSON.stringify(snapshot ?? null),
    };
  }
}
