/** The cluster's tree as pages see it: what they are told bit by bit is what /api/tree gives. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ClusterTree, type PageRow } from "../../../actors/inspector/door/live/cluster-tree.ts";
import { mergeTrees } from "../../../actors/inspector/merge-trees.ts";
import type { Tree, TreeDelta, TreeNode, TreeRow } from "../../../proto/index.ts";

const node = (id: string, fields: Partial<TreeNode> = {}): TreeNode => ({
  ...{ id, path: id.slice(id.indexOf("/")), kind: "actor", role: "r", pid: 0, state: "running" },
  ...{ restarts: 0, mailbox: 0, oldest_ms: 0, handled: 0, children: [], ...fields },
});
const rowOf = (of: TreeNode): TreeRow => ({ node: of, rate: 0, ms_per_message: 0, more: 0 });

/** One process as it is now; `undefined` rows: it has not answered yet. */
type World = {
  readonly workers: readonly {
    readonly pid: number;
    readonly extra: number;
    readonly load: number;
  }[];
  readonly root_load: number;
};

/** The root with a process node for each worker, and each worker's own tree. */
function treesOf({ workers, root_load }: World): Tree[] {
  const slots = workers.map((_, i) => `root/cluster/w${i}`);
  const root: Tree = {
    kind: "tree",
    ...{ node: "root", pid: 1 },
    nodes: [
      node("root/cluster", { kind: "supervisor", handled: root_load, children: slots }),
      ...workers.map(({ pid }, i) => node(`root/cluster/w${i}`, { kind: "process", pid })),
    ],
  };
  const others = workers.map(({ pid, extra, load }, i): Tree => {
    const children = Array.from({ length: extra }, (_, at) => `worker-${i}/worker/a${at}`);
    return {
      kind: "tree",
      ...{ node: `worker-${i}`, pid: pid === 0 ? 99 : pid },
      nodes: [
        node(`worker-${i}/worker`, { kind: "supervisor", children, handled: load }),
        ...children.map((id) => node(id)),
      ],
    };
  });
  return [root, ...others];
}

/** What a process inspector would tell of this tree after that one. */
function deltaOf(known_before: Tree | undefined, now: Tree, number: number): TreeDelta {
  // Another pid is another process, which knows of no watch.
  const before = known_before?.pid === now.pid ? known_before : undefined;
  const whole = before === undefined;
  const known = new Map(before?.nodes.map((each) => [each.id, each]));
  const ids = new Set(now.nodes.map(({ id }) => id));
  return {
    kind: "tree_delta",
    ...{ node: now.node, pid: now.pid, number, whole, resident_bytes: 0 },
    rows: now.nodes.filter((each) => !Bun.deepEquals(each, known.get(each.id))).map(rowOf),
    gone: [...known.keys()].filter((id) => !ids.has(id)),
    tops: [now.nodes[0]!.id],
  };
}

const worlds = fc.array(
  fc.record({
    workers: fc.array(
      fc.record({
        // 0: it is being started, and its process is not known by its pid.
        pid: fc.constantFrom(0, 20, 21, 22),
        extra: fc.nat(2),
        load: fc.nat(2),
      }),
      { maxLength: 3 },
    ),
    root_load: fc.nat(1),
  }),
  { minLength: 1, maxLength: 8 },
);

/** Pids are unique on a machine. */
const distinct = (world: World): World => ({
  ...world,
  workers: world.workers.map(({ pid, ...rest }, i) => ({
    ...rest,
    pid: world.workers.slice(0, i).some((other) => other.pid === pid) ? 0 : pid,
  })),
});

test("frames together are the merged tree, through starts, ends and restarts", () => {
  fc.assert(
    fc.property(worlds, (all) => {
      const cluster = new ClusterTree("root");
      const page = new Map<string, PageRow>();
      let before = new Map<string, Tree>();
      all.map(distinct).forEach((world, at) => {
        const trees = treesOf(world);
        for (const tree of trees) cluster.take(deltaOf(before.get(tree.node), tree, at + 1));
        cluster.keep(new Set(trees.map((each) => each.node)));
        before = new Map(trees.map((tree) => [tree.node, tree]));
        const { nodes, gone } = cluster.changes();
        for (const id of gone) page.delete(id);
        for (const row of nodes) page.set(row.id, row);
        const [own, ...others] = trees;
        const merged = mergeTrees(own!, others);
        const short = (row: TreeNode | PageRow) => [row.id, row.pid, row.handled, row.children];
        const byId = (a: readonly unknown[], b: readonly unknown[]) =>
          String(a[0]) < String(b[0]) ? -1 : 1;
        expect([...page.values()].map(short).toSorted(byId)).toEqual(
          merged.map(short).toSorted(byId),
        );
        expect(cluster.whole().map(short).toSorted(byId)).toEqual(merged.map(short).toSorted(byId));
        // A second look at the same finds nothing.
        expect(cluster.changes()).toEqual({ nodes: [], gone: [] });
      });
    }),
    { numRuns: 300 },
  );
});

test("a process node shows the memory of its process, in whole megabytes", () => {
  const cluster = new ClusterTree("root");
  const look = (resident_bytes: number) => {
    const [root, worker] = treesOf({
      ...{ root_load: 0, workers: [{ pid: 20, extra: 0, load: 0 }] },
    });
    cluster.take(deltaOf(undefined, root!, 1));
    cluster.take({ ...deltaOf(undefined, worker!, 1), resident_bytes });
    cluster.changes();
    return cluster.whole().find(({ id }) => id === "root/cluster/w0")?.resident_bytes;
  };
  const megabyte = 1024 * 1024;
  expect(look(50 * megabyte + 100)).toBe(50 * megabyte);
  expect(look(51.6 * megabyte)).toBe(52 * megabyte);
});
