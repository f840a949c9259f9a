/** Topic `tree`: rows of the cluster's tree that have changed. */
import type { InspectMessage } from "../../../../proto/index.ts";
import { formatAddress, type Ref } from "../../../../runtime/kernel/ref.ts";
import type { Door } from "../door.ts";
import { ClusterTree } from "./cluster-tree.ts";
import type { Topic, TopicSource } from "./topic.ts";
import { within } from "./within.ts";

/** Of the whole tree; processes share it. */
const ROWS_MAX = 10_000;
const ROWS_LEAST = 50;
/** What a process tells later comes with a later look; it is not asked again meanwhile. */
const DELTA_DEADLINE_MS = 2_000;
/** Pages hear of the others after this. */
const LOOK_MS = 250;

export const treeTopic: Topic = {
  name: "tree",
  every_ms: 500,
  open: (door) => new TreeSource(door),
};

class TreeSource implements TopicSource {
  readonly #door: Door;
  readonly #watch: string;
  readonly #tree: ClusterTree;
  /** Addresses of inspectors that have been asked and have not answered yet. */
  readonly #asked = new Set<string>();
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
    const rested = refs.filter((ref) => !this.#asked.has(formatAddress(ref.address)));
    const { clock } = this.#door.system.capabilities;
    await within(
      clock,
      LOOK_MS,
      rested.map((ref) => this.#ask(ref, rows_max)),
    );
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

  async #ask(ref: Ref<InspectMessage>, rows_max: number): Promise<void> {
    const seen = this.#tree.seen(ref.address.node);
    const question = { kind: "get_tree_delta", watch: this.#watch, seen, rows_max } as const;
    const { system } = this.#door;
    const address = formatAddress(ref.address);
    this.#asked.add(address);
    try {
      const delta = await system.ask(ref, question, { deadline_ms: DELTA_DEADLINE_MS });
      // A late answer of a process in whose place another one is already says nothing.
      const there = this.#door.inspectorOf(ref.address.node);
      if (there !== undefined && formatAddress(there.address) === address) this.#tree.take(delta);
    } catch {
      // It ends, or is too busy: its rows stay what they were.
    } finally {
      this.#asked.delete(address);
    }
  }
}
