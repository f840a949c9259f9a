/** What has changed in a tree since somebody was last told of it. Pure. */

import type { LiveNode } from "./tree-watch.ts";

export type TreeChange = {
  /** New or changed, parents before their children. */
  readonly nodes: readonly LiveNode[];
  /** Ids. */
  readonly gone: readonly string[];
};

type Told = { row: LiveNode; look: number };

/** What one watcher has been told. */
export class ToldTree {
  readonly #told = new Map<string, Told>();
  #look = 0;
  /** The row behind the last one that was told, so that each changed one has its turn. */
  #from = 0;

  /** At most `rows_max` rows; what does not fit comes with the next call. New rows go first. */
  take(rows: readonly LiveNode[], rows_max: number): TreeChange {
    const look = ++this.#look;
    const nodes: LiveNode[] = [];
    const changed: number[] = [];
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      const told = this.#told.get(row.id);
      if (told === undefined) {
        if (nodes.length === rows_max) continue;
        nodes.push(row);
        this.#told.set(row.id, { row, look });
      } else {
        told.look = look;
        if (told.row !== row && !isSame(told.row, row)) changed.push(at);
      }
    }
    const gone: string[] = [];
    for (const [id, told] of this.#told) if (told.look !== look) gone.push(id);
    for (const id of gone) this.#told.delete(id);
    this.#takeChanged(rows, changed, rows_max, nodes);
    return { nodes, gone };
  }

  #takeChanged(
    rows: readonly LiveNode[],
    changed: readonly number[],
    rows_max: number,
    nodes: LiveNode[],
  ): void {
    const first = Math.max(
      0,
      changed.findIndex((at) => at >= this.#from),
    );
    for (let step = 0; step < changed.length && nodes.length < rows_max; step++) {
      const at = changed[(first + step) % changed.length]!;
      const row = rows[at]!;
      nodes.push(row);
      this.#told.get(row.id)!.row = row;
      this.#from = at + 1;
    }
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
