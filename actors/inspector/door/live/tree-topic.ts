/** Topic `tree`: rows of the cluster's tree that have changed. */
import type { InspectMessage, TreeDelta } from "../../../../proto/index.ts";
import type { Ref } from "../../../../runtime/kernel/ref.ts";
import type { Door } from "../door.ts";
import { ClusterTree } from "./cluster-tree.ts";
import type { Topic, TopicSource } from "./topic.ts";

/** Of the whole tree; processes share it. */
const ROWS_MAX = 10_000;
const ROWS_LEAST = 50;
/** A process that is slower is asked again with the next look. */
const DELTA_DEADLINE_MS = 1_000;

export const treeTopic: Topic = {
  name: "tree",
  every_ms: 500,
  open: (door) => new TreeSource(door),
};

class TreeSource implements TopicSource {
  readonly #door: Door;
  readonly #watch: string;
  readonly #tree: ClusterTree;
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
    const answers = await Promise.all(refs.map((ref) => this.#ask(ref, rows_max)));
    for (const delta of answers) if (delta !== undefined) this.#tree.take(delta);
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

  async #ask(ref: Ref<InspectMessage>, rows_max: number): Promise<TreeDelta | undefined> {
    const seen = this.#tree.seen(ref.address.node);
    const question = { kind: "get_tree_delta", watch: this.#watch, seen, rows_max } as const;
    const { system } = this.#door;
    try {
      return await system.ask(ref, question, { deadline_ms: DELTA_DEADLINE_MS });
    } catch {
      // It ends, or is too busy: its rows stay what they were.
      return undefined;
    }
  }
}
