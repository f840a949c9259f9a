/**
 * The cluster's tree out of what its processes tell bit by bit: rows as pages get them, and which
 * of them have changed since the last look. Pure.
 *
 * Each process node has the actors of its process as further children; a process that no process
 * node stands for (it has just ended, or is about to be known) is left out.
 */
import type { TreeDelta, TreeRow } from "../../../../proto/index.ts";

export type PageRow = {
  readonly id: string;
  readonly node: string;
  readonly path: string;
  readonly kind: string;
  readonly role: string;
  readonly pid: number;
  readonly state: string;
  readonly restarts: number;
  readonly mailbox: number;
  readonly oldest_ms: number;
  readonly handled: number;
  /** Messages a second. */
  readonly rate: number;
  readonly ms_per_message: number;
  readonly children: readonly string[];
  /** Children that are not listed. */
  readonly more: number;
  readonly last_crash?: string | undefined;
  /** Of process nodes, and of the root's own top. */
  readonly resident_bytes?: number | undefined;
};

export type PageChange = { readonly nodes: readonly PageRow[]; readonly gone: readonly string[] };

const MEGABYTE = 1024 * 1024;

/** What one process has told. */
type Part = {
  readonly node: string;
  number: number;
  pid: number;
  tops: readonly string[];
  resident_bytes: number;
  readonly rows: Map<string, TreeRow>;
  /** Ids of rows that other processes may hang in, or that show memory. */
  readonly hosts: Set<string>;
  /** Ids that changed since the last look. */
  readonly changed: Set<string>;
  shown: boolean;
};

export class ClusterTree {
  readonly #parts = new Map<string, Part>();
  readonly #told = new Map<string, PageRow>();
  /** Ids of rows whose process has left since the last look. */
  readonly #lost = new Set<string>();
  readonly #own: string;

  /** `own`: the node whose tree the others hang in; roots of other machines stand beside it. */
  constructor(own: string) {
    this.#own = own;
  }

  /** Number of the last answer that came from there. */
  seen(node: string): number {
    return this.#parts.get(node)?.number ?? 0;
  }

  take(delta: TreeDelta): void {
    const part = this.#parts.get(delta.node) ?? newPart(delta.node);
    this.#parts.set(delta.node, part);
    part.number = delta.number;
    part.pid = delta.pid;
    part.tops = delta.tops;
    part.resident_bytes = delta.resident_bytes;
    const gone = delta.whole ? [...part.rows.keys()] : delta.gone;
    for (const id of gone) {
      part.rows.delete(id);
      part.hosts.delete(id);
      part.changed.add(id);
    }
    for (const row of delta.rows) {
      const { node } = row;
      if (node === undefined) continue;
      part.rows.set(node.id, row);
      part.changed.add(node.id);
      if (node.kind === "process" || node.path === "/cluster") part.hosts.add(node.id);
      else if (part.hosts.size > 0) part.hosts.delete(node.id);
    }
  }

  /** Only these processes are there still. */
  keep(nodes: ReadonlySet<string>): void {
    for (const [node, part] of this.#parts) {
      if (nodes.has(node)) continue;
      for (const id of part.rows.keys()) if (this.#told.has(id)) this.#lost.add(id);
      this.#parts.delete(node);
    }
  }

  /** Everything that was told. */
  whole(): PageRow[] {
    return [...this.#told.values()];
  }

  changes(): PageChange {
    const hosted = this.#hosted();
    const nodes: PageRow[] = [];
    const gone = new Set(this.#lost);
    this.#lost.clear();
    for (const part of this.#parts.values()) {
      const shown = hosted.shown.has(part);
      // All of a process that has come or gone.
      const ids =
        shown === part.shown ? part.changed : new Set([...part.rows.keys(), ...part.changed]);
      for (const id of ids) {
        const row = shown ? part.rows.get(id) : undefined;
        if (row === undefined) {
          if (this.#told.has(id)) gone.add(id);
          continue;
        }
        const now = pageRow(part, row, hosted.inside.get(id));
        gone.delete(id);
        this.#told.set(id, now);
        nodes.push(now);
      }
      if (shown) this.#changedHosts(part, hosted.inside, nodes);
      part.shown = shown;
      part.changed.clear();
    }
    for (const id of gone) this.#told.delete(id);
    return { nodes, gone: [...gone] };
  }

  /** Rows that did not change themselves, and have another process in them. */
  #changedHosts(part: Part, inside: ReadonlyMap<string, Part>, nodes: PageRow[]): void {
    for (const id of part.hosts) {
      const row = part.rows.get(id);
      if (row === undefined || part.changed.has(id)) continue;
      const now = pageRow(part, row, inside.get(id));
      if (isSame(this.#told.get(id), now)) continue;
      this.#told.set(id, now);
      nodes.push(now);
    }
  }

  /** Which process hangs in which row; roots are shown, and what hangs in them. */
  #hosted(): { shown: Set<Part>; inside: Map<string, Part> } {
    const all = [...this.#parts.values()];
    const roots = all.filter(({ node, rows }) => node === this.#own || rows.has(`${node}/cluster`));
    const shown = new Set(roots);
    const inside = new Map<string, Part>();
    for (const root of roots) {
      // A pid means something on its own machine only, whose name its nodes' names begin with.
      const own = (node: string) => roots.length === 1 || node.startsWith(`${root.node}.`);
      const by_pid = new Map(
        all.filter((each) => each !== root && own(each.node)).map((each) => [each.pid, each]),
      );
      for (const id of root.hosts) {
        const pid = root.rows.get(id)?.node?.pid ?? 0;
        const part = pid > 0 ? by_pid.get(pid) : undefined;
        if (part === undefined) continue;
        inside.set(id, part);
        shown.add(part);
      }
    }
    return { shown, inside };
  }
}

const newPart = (node: string): Part => ({
  ...{ node, number: 0, pid: 0, tops: [], resident_bytes: 0, shown: false },
  ...{ rows: new Map(), hosts: new Set(), changed: new Set() },
});

/** `inside`: the process that the row stands for. */
export function pageRow(
  part: Pick<Part, "node" | "pid" | "resident_bytes">,
  row: TreeRow,
  inside?: Part,
): PageRow {
  const node = row.node!;
  const { id, path, kind, role, state, restarts, mailbox, oldest_ms, handled, last_crash } = node;
  const tops = inside?.tops ?? [];
  const resident = inside ?? (path === "/cluster" ? part : undefined);
  // Without spreads, which take longer than all the rest of a look; JSON has no undefined fields.
  return {
    id,
    node: part.node,
    path,
    kind,
    role,
    pid: kind === "process" ? node.pid : part.pid || node.pid,
    state,
    restarts,
    mailbox,
    oldest_ms,
    handled,
    rate: short(row.rate),
    ms_per_message: short(row.ms_per_message),
    children: tops.length === 0 ? node.children : [...node.children, ...tops],
    more: row.more,
    last_crash,
    resident_bytes: resident && inMegabytes(resident.resident_bytes),
  };
}

/** A float of the wire has digits that nobody meant. */
const short = (value: number): number => (value === 0 ? 0 : Number(value.toPrecision(3)));
/** Else it would change at each look. */
const inMegabytes = (bytes: number): number => Math.round(bytes / MEGABYTE) * MEGABYTE;

/** As far as something else than the row itself has a part in it. */
function isSame(before: PageRow | undefined, now: PageRow): boolean {
  return (
    before !== undefined &&
    before.resident_bytes === now.resident_bytes &&
    before.pid === now.pid &&
    before.children.length === now.children.length &&
    before.children.every((id, at) => id === now.children[at])
  );
}
