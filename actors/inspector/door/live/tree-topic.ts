/** Topic `tree`: rows of the cluster's tree that have changed. */
import type { InspectMessage, TreeDelta } from "../../../../proto/index.ts";
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
  /** What was answered and is not in the tree yet, with the address of who answered. */
  readonly #answers: { readonly address: string; readonly delta: TreeDelta }[] = [];
  #known = false;

  constructor(door: Door) {
    this.#door = door;
    this.#tree = new ClusterTree(door.system.node);
    this.#watch = door.system.capabilities.ids.next();
  }

  async next(): Promise<object | undefined> {
    const { processes } = this.#door.options;
    const refs = processes();
    this.#take(refs);
    const rows_max = Math.max(ROWS_LEAST, Math.floor(ROWS_MAX / Math.max(1, refs.length)));
    const rested = refs.filter((ref) => !this.#asked.has(formatAddress(ref.address)));
    const { clock } = this.#door.system.capabilities;
    await within(
      clock,
      LOOK_MS,
      rested.map((ref) => this.#ask(ref, rows_max)),
    );
    const there = processes();
    this.#take(there);
    this.#tree.keep(new Set(there.map(({ address }) => address.node)));
    const { nodes, gone } = this.#tree.changes();
    this.#known = true;
    return nodes.length + gone.length === 0 ? undefined : this.#frame(false, nodes, gone);
  }

  whole(): object | undefined {
    return this.#known ? this.#frame(true, this.#tree.whole(), []) : undefined;
  }

  close(): void {
    const over = { kind: "end_watch", watch: this.#watch } as const;
    for (const ref of this.#door.options.processes()) ref.tell(over);
  }

  #frame(full: boolean, nodes: readonly object[], gone: readonly string[]): object {
    return { full, at_ms: this.#door.system.capabilities.clock.wall_ms(), nodes, gone };
  }

  /** A late answer of a process in whose place another one is already says nothing. */
  #take(refs: readonly Ref<InspectMessage>[]): void {
    if (this.#answers.length === 0) return;
    const there = new Set(refs.map(({ address }) => formatAddress(address)));
    for (const { address, delta } of this.#answers) if (there.has(address)) this.#tree.take(delta);
    this.#answers.length = 0;
  }

  async #ask(ref: Ref<InspectMessage>, rows_max: number): Promise<void> {
    const seen = this.#tree.seen(ref.address.node);
    const question = { kind: "get_tree_delta", watch: this.#watch, seen, rows_max } as const;
    const { system } = this.#door;
    const address = formatAddress(ref.address);
    this.#asked.add(address);
    try {
      const delta = await system.ask(ref, question, { deadline_ms: DELTA_DEADLINE_MS });
      this.#answers.push({ address, delta });
    } catch {
      // It ends, or is too busy: its rows stay what they were.
    } finally {
      this.#asked.delete(address);
    }
  }
}
