/** All about one actor of this process. */
import type { ActorEntry, ActorPage, TreeRow } from "../../proto/index.ts";
import { Cell } from "../../runtime/kernel/cell.ts";
import { describeExit } from "../../runtime/kernel/exit-reason.ts";
import { formatAddress } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import type { ActorRecord, RecordEntry } from "../../runtime/observe/actor-record.ts";
import { plainText } from "../../runtime/observe/plain-text.ts";
import { childrenOf, treeNode } from "../../runtime/observe/tree.ts";
import { CHILDREN_MAX } from "../../runtime/observe/tree-watch.ts";

const SNAPSHOT_CHARS = 256 * 1024;
const MONITORS_MAX = 100;
const CRASHES_MAX = 16;

/**
 * @param row from a walk of the tree, where there was one
 * @param after entries up to this one are known to the asker
 */
export function pageOf(
  system: ActorSystem,
  path: string,
  row: TreeRow | undefined,
  record: ActorRecord | undefined,
  after: number,
): ActorPage {
  const found = system.lookup(path);
  const cell = found instanceof Cell ? found : undefined;
  const { relations, parent } = cell ?? {};
  return {
    kind: "actor_page",
    ...{ path, found: cell !== undefined },
    row: withPid(row ?? (cell && rowNow(system, cell)), system.capabilities.spawn.pid),
    snapshot: snapshotOf(system, path),
    // The parent of the top-level actors is none of those that people see.
    parent: parent?.parent === undefined ? undefined : parent.id,
    monitors: [
      ...new Set((relations?.monitored() ?? []).map((ref) => formatAddress(ref.address))),
    ].slice(0, MONITORS_MAX),
    watchers: Math.max(0, (relations?.watchers ?? 0) - (record === undefined ? 0 : 1)),
    dead_letters: system
      .deadLetters()
      .recent.filter((letter) => letter.path === path)
      .map(({ kind, reason, wall_ms }) => ({ kind, why: reason, at_ms: wall_ms })),
    crashes: crashesOf(system, path),
    recorded: record !== undefined,
    entries: (record?.after(after) ?? []).map(entryOf),
    dropped: record?.dropped ?? 0,
  };
}

/** An actor's is that of its process; a process node's is its own. */
function withPid(row: TreeRow | undefined, pid: number): TreeRow | undefined {
  if (row?.node === undefined || row.node.kind === "process") return row;
  return { ...row, node: { ...row.node, pid } };
}

/** Where nobody watches the tree, so that no rates are known. */
function rowNow({ capabilities }: ActorSystem, cell: Cell): TreeRow {
  const children = childrenOf(cell);
  const names = children.slice(0, CHILDREN_MAX).map(({ id }) => id);
  const node = treeNode(cell, cell.id, cell.path, names, capabilities.clock.now_ms());
  return { node, rate: 0, ms_per_message: 0, more: children.length - names.length };
}

function snapshotOf(system: ActorSystem, path: string): string {
  try {
    return plainText(system.snapshot(path) ?? {}, SNAPSHOT_CHARS);
  } catch (error) {
    return JSON.stringify({ error: `inspect() failed: ${error}` });
  }
}

function crashesOf(system: ActorSystem, path: string): ActorPage["crashes"] {
  const own = system.crashReports().filter(({ offender }) => offender.path === path);
  return own.slice(-CRASHES_MAX).map(({ wall_ms, context, reason, offender }) => ({
    ...{ at_ms: wall_ms, context, reason: describeExit(reason), restarts: offender.restarts },
    stack: reason.kind === "crash" ? reason.stack : undefined,
  }));
}

const entryOf = (entry: RecordEntry): ActorEntry => ({ ...entry });
