/** What has changed in a tree since somebody was last told of it. Pure. */

import type { LiveNode } from "./tree-watch.ts";

export type TreeChange = {
  /** New or changed, parents before their children. */
  readonly nodes: readonly LiveNode[];
  /** Ids. */
  readonly gone: readonly string[];
};

/** What one watcher has been told. */
export class ToldTree {
  readonly #told = new Map<string, LiveNode>();
  /** Where the next search for changed rows begins, so that each has its turn. */
  #from = 0;

  /** At most `rows_max` rows; what does not fit comes with the next call. New rows go first. */
  take(rows: readonly LiveNode[], rows_max: number): TreeChange {
    const now = new Set<string>();
    const nodes: LiveNode[] = [];
    for (const row of rows) {
      now.add(row.id);
      if (nodes.length < rows_max && !this.#told.has(row.id)) nodes.push(row);
    }
    const gone: string[] = [];
    for (const id of this.#told.keys()) if (!now.has(id)) gone.push(id);
    for (let step = 0; step < rows.length && nodes.length < rows_max; step++) {
      const row = rows[(this.#from + step) % rows.length]!;
      const before = this.#told.get(row.id);
      if (before === undefined || isSame(before, row)) continue;
      nodes.push(row);
      if (nodes.length === rows_max) this.#from = (this.#from + step + 1) % rows.length;
    }
    for (const id of gone) this.#told.delete(id);
    for (const row of nodes) this.#told.set(row.id, row);
    return { nodes, gone };
  }
}

function isSame(a: LiveNode, b: LiveNode): boolean {
  return (
    a.handled === b.handled &&
    a.rate === b.rate &&
    a.mailbox === b.mailbox &&
    a.oldest_ms === b.oldest_ms &&
    a.ms_per_message === b.ms_per_message &&
    a.state === b.state &&
    a.restarts === b.restarts &&
    a.pid === b.pid &&
    a.more === b.more &&
    a.last_crash === b.last_crash &&
    a.role === b.role &&
    a.kind === b.kind &&
    a.children.length === b.children.length &&
    a.children.every((id, at) => id === b.children[at])
  );
}
