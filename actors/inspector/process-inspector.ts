/** One in every process: answers for the actors that live there. */
import type {
  ControlActor,
  ControlDone,
  InspectMessage,
  Snapshot,
  Tree,
} from "../../proto/index.ts";
import { Actor } from "../../runtime/actor.ts";
import { type BlockMeter, watchEventLoop } from "../../runtime/event-loop.ts";
import { controlActions } from "../../runtime/system.ts";

export type ProcessInspectorOptions = {
  readonly role: string;
};

export class ProcessInspector extends Actor<InspectMessage> {
  readonly #options: ProcessInspectorOptions;
  #meter: BlockMeter | undefined;

  constructor(options: ProcessInspectorOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    this.#meter = watchEventLoop(this.ctx.clock);
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
        });
        return;
      case "control_actor":
        this.ctx.reply(this.#control(message));
        return;
    }
  }

  override terminate(): void {
    this.#meter?.stop();
  }

  override inspect() {
    return { event_loop_block_ms_max: this.#meter?.block_ms_max() ?? 0 };
  }

  #tree(): Tree {
    const { system, capabilities } = this.ctx;
    return {
      kind: "tree",
      node: system.node,
      pid: capabilities.spawn.pid,
      nodes: system.tree().map((node) => ({ ...node, pid: node.pid ?? 0 })),
    };
  }

  #control({ path, action }: ControlActor): ControlDone {
    const known = controlActions.find((name) => name === action);
    const done = known !== undefined && this.ctx.system.control(path, known);
    this.ctx.log.log("warn", `a person wants an actor to ${action}`, { path, done });
    return { kind: "control_done", done };
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
