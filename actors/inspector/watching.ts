/**
 * What a process does while pages watch it: it walks its tree, remembers what each watch has been
 * told, and writes down what watched actors do. Each question keeps its watch for a while; with the
 * last one all of it ends, and nothing is measured any more.
 */
import type { ActorPage, GetActor, GetTreeDelta, TreeDelta, TreeRow } from "../../proto/index.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { ActorRecord } from "../../runtime/observe/actor-record.ts";
import { ToldTree } from "../../runtime/observe/tree-delta.ts";
import { type LiveNode, TreeWatch } from "../../runtime/observe/tree-watch.ts";
import { pageOf } from "./actor-page.ts";

export const LEASE_MS = 10_000;
/** A page that is loaded anew leaves and comes back: its rates go on. */
export const OVER_MS = 1_000;
/** Several doors that ask at about one time are answered from one walk. */
const WALK_MS = 200;
/** A walk of so many takes about a millisecond. */
const ROWS_MAX = 2_000;
const WATCHES_MAX = 64;
const RECORDS_MAX = 16;

type Told = { tree: ToldTree; number: number; until_ms: number };
type Recorded = { readonly record: ActorRecord; readonly watches: Map<string, number> };
type Walked = { readonly rows: readonly LiveNode[]; readonly at_ms: number };

export class Watching {
  readonly #system: ActorSystem;
  #tree: TreeWatch | undefined;
  readonly #told = new Map<string, Told>();
  /** By path. */
  readonly #recorded = new Map<string, Recorded>();
  #walked: Walked | undefined;
  #walking: Promise<Walked> | undefined;
  #timer: Timer | undefined;

  constructor(system: ActorSystem) {
    this.#system = system;
  }

  get watches(): number {
    return this.#told.size;
  }

  get recorded(): readonly string[] {
    return [...this.#recorded.keys()];
  }

  stop(): void {
    for (const { record } of this.#recorded.values()) record.stop();
    this.#recorded.clear();
    this.#told.clear();
    this.#rest();
  }

  async treeDelta({ watch, seen, rows_max }: GetTreeDelta): Promise<TreeDelta> {
    const told = this.#toldOf(watch);
    const most = Math.min(ROWS_MAX, Math.max(1, rows_max || ROWS_MAX));
    const { rows } = await this.#walk(most);
    const whole = seen === 0 || seen !== told.number;
    if (whole) told.tree = new ToldTree();
    told.number++;
    const { nodes, gone } = told.tree.take(rows, most);
    const { node, capabilities } = this.#system;
    return {
      kind: "tree_delta",
      ...{ node, pid: capabilities.spawn.pid, number: told.number, whole },
      rows: nodes.map(rowOf),
      gone: [...gone],
      tops: rows.filter(({ path }) => path.indexOf("/", 1) < 0).map(({ id }) => id),
      resident_bytes: capabilities.spawn.resident_bytes(),
    };
  }

  /** Its asker watches no more. */
  end(watch: string): void {
    const told = this.#told.get(watch);
    if (told === undefined) return;
    told.until_ms = this.#now_ms() + OVER_MS;
    const { clock } = this.#system.capabilities;
    if (this.#timer !== undefined) clock.cancel(this.#timer);
    this.#timer = clock.after(OVER_MS, this.#expire);
  }

  async actor({ path, watch, after }: GetActor): Promise<ActorPage> {
    const record = watch === "" ? this.#recorded.get(path)?.record : this.#recordOf(path, watch);
    const rows = this.#tree === undefined ? [] : (await this.#walk(ROWS_MAX)).rows;
    const row = rows.find((each) => each.path === path);
    return pageOf(this.#system, path, row && rowOf(row), record, after);
  }

  #toldOf(watch: string): Told {
    const until_ms = this.#now_ms() + LEASE_MS;
    const found = this.#told.get(watch);
    if (found !== undefined) {
      found.until_ms = until_ms;
      return found;
    }
    if (this.#told.size >= WATCHES_MAX) this.#told.delete(this.#told.keys().next().value ?? "");
    const told = { tree: new ToldTree(), number: 0, until_ms };
    this.#told.set(watch, told);
    this.#measure();
    return told;
  }

  /** Undefined: too many actors are watched here already. */
  #recordOf(path: string, watch: string): ActorRecord | undefined {
    const found = this.#recorded.get(path);
    if (found === undefined && this.#recorded.size >= RECORDS_MAX) return undefined;
    const { times } = this.#measure();
    const recorded = found ?? {
      record: new ActorRecord(this.#system, path, times),
      watches: new Map<string, number>(),
    };
    recorded.watches.set(watch, this.#now_ms() + LEASE_MS);
    this.#recorded.set(path, recorded);
    return recorded.record;
  }

  /** From the first watch on. */
  #measure(): TreeWatch {
    this.#tree ??= new TreeWatch(this.#system);
    this.#timer ??= this.#system.capabilities.clock.after(LEASE_MS, this.#expire);
    return this.#tree;
  }

  /** Watches that are not asked for any more end. */
  readonly #expire = (): void => {
    this.#timer = undefined;
    const now_ms = this.#now_ms();
    for (const [watch, { until_ms }] of this.#told) {
      if (until_ms <= now_ms) this.#told.delete(watch);
    }
    for (const [path, { record, watches }] of this.#recorded) {
      for (const [watch, until_ms] of watches) if (until_ms <= now_ms) watches.delete(watch);
      if (watches.size > 0) continue;
      record.stop();
      this.#recorded.delete(path);
    }
    if (this.#told.size === 0 && this.#recorded.size === 0) this.#rest();
    else this.#timer = this.#system.capabilities.clock.after(LEASE_MS / 10, this.#expire);
  };

  #rest(): void {
    if (this.#timer !== undefined) this.#system.capabilities.clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#tree?.stop();
    this.#tree = undefined;
    this.#walked = undefined;
  }

  async #walk(rows_max: number): Promise<Walked> {
    if (this.#walking !== undefined) return await this.#walking;
    if (this.#walked !== undefined && this.#now_ms() - this.#walked.at_ms < WALK_MS) {
      return this.#walked;
    }
    const tree = this.#measure();
    this.#walking = tree
      .walk(rows_max, () => this.#pause())
      .then((rows) => ({ rows, at_ms: this.#now_ms() }));
    try {
      this.#walked = await this.#walking;
      return this.#walked;
    } finally {
      this.#walking = undefined;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#system.capabilities.clock.after(0, resolve);
    });
  }

  #now_ms(): number {
    return this.#system.capabilities.clock.now_ms();
  }
}

/** What it has more than a node of the wire is not written. */
function rowOf(node: LiveNode): TreeRow {
  const { rate, ms_per_message, more } = node;
  return { node, rate, ms_per_message, more };
}
