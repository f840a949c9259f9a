/** Topic `tree`: rows of the cluster's tree that have changed. */
import type { InspectMessage } from "../../../../proto/index.ts";
import type { Ref } from "../../../../runtime/kernel/ref.ts";
import type { Door } from "../door.ts";
import { ClusterTree } from "./cluster-tree.ts";
import type { Topic, TopicSource } from "./topic.ts";

/** Of the whole tree; processes share it. */
const ROWS_MAX = 10_000;
const ROWS_LEAST = 50;
/** What a process tells later comes with a later look; it is not asked again meanwhile. */
const LOOK_MS = 250;
const DELTA_DEADLINE_MS = 2_000;

export const treeTopic: Topic = {
  name: "tree",
  every_ms: 500,
  open: (door) => new TreeSource(door),
};

class TreeSource implements TopicSource {
  readonly #door: Door;
  readonly #watch: string;
  readonly #tree: ClusterTree;
  /** By node: questions that are not answered yet. */
  readonly #asked = new Map<string, Promise<void>>();
  #known = false;

  constructor(door: Door) {
    this.#door = door;
    this.#tree = new ClusterTree(door.system.node);
    this.#watch = door.system.capabilities.ids.next();
  }

  async next(): Promise<object | undefined> {
    const { processes } = this.#door.options;
    const refs = processes();
    const rows_max = Math.max(ROWS_LEAST, Math.floor(ROWS_MAX / Math.max(1, refs.length)));
    for (const ref of refs) this.#ask(ref, rows_max);
    await this.#answers();
    this.#tree.keep(new Set(processes().map(({ address }) => address.node)));
    const { nodes, gone } = this.#tree.changes();
    this.#known = true;
    return nodes.length + gone.length === 0 ? undefined : this.#frame(false, nodes, gone);
  }

  whole(): object | undefined {
    return this.#known ? this.#frame(true, this.#tree.whole(), []) : undefined;
  }

  #frame(full: boolean, nodes: readonly object[], gone: readonly string[]): object {
    return { full, at_ms: this.#door.system.capabilities.clock.wall_ms(), nodes, gone };
  }

  #ask(ref: Ref<InspectMessage>, rows_max: number): void {
    const { node } = ref.address;
    if (this.#asked.has(node)) return;
    const seen = this.#tree.seen(node);
    const question = { kind: "get_tree_delta", watch: this.#watch, seen, rows_max } as const;
    const asked = this.#door.system
      .ask(ref, question, { deadline_ms: DELTA_DEADLINE_MS })
      .then(
        (delta) => this.#tree.take(delta),
        // It ends, or is too busy: its rows stay what they were.
        () => {},
      )
      .finally(() => this.#asked.delete(node));
    this.#asked.set(node, asked);
  }

  async #answers(): Promise<void> {
    const { clock } = this.#door.system.capabilities;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = clock.after(LOOK_MS, resolve);
    await Promise.race([Promise.all(this.#asked.values()), late]);
    clock.cancel(timer);
  }
}
