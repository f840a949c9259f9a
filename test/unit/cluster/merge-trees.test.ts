import { expect, test } from "bun:test";
import { mergeTrees } from "../../../actors/inspector/merge-trees.ts";
import type { Tree, TreeNode } from "../../../proto/index.ts";

const node = (id: string, children: string[] = [], fields: Partial<TreeNode> = {}): TreeNode => ({
  id,
  path: id,
  kind: "actor",
  role: "",
  pid: 0,
  state: "running",
  restarts: 0,
  mailbox: 0,
  oldest_ms: 0,
  handled: 0,
  children,
  ...fields,
});
const tree = (name: string, pid: number, nodes: TreeNode[]): Tree => ({
  kind: "tree",
  node: name,
  pid,
  nodes,
});

const root = tree("root", 10, [
  node("root/", ["root/w"], { kind: "supervisor" }),
  node("root/w", [], { kind: "process", pid: 20 }),
]);

test("what lives in a process hangs below its process node, under unique ids", () => {
  const child = tree("worker", 20, [node("worker/", ["worker/w"]), node("worker/w")]);
  const merged = mergeTrees(root, [child]);
  expect(merged.map((item) => item.id)).toEqual(["root/", "root/w", "worker/", "worker/w"]);
  expect(merged.find((item) => item.id === "root/w")?.children).toEqual(["worker/"]);
  expect(merged.map((item) => item.pid)).toEqual([10, 20, 20, 20]);
});

test("with several machines each has its own tree, whatever their pids", () => {
  const machine = (name: string) =>
    tree(name, 10, [
      node(`${name}/cluster`, [`${name}/cluster/w`], { path: "/cluster", kind: "supervisor" }),
      node(`${name}/cluster/w`, [], { kind: "process", pid: 20 }),
    ]);
  const child = (name: string) => tree(`${name}.w`, 20, [node(`${name}.w/worker`)]);
  const merged = mergeTrees(machine("a"), [child("b"), machine("b"), child("a")]);
  expect(merged.map(({ id }) => id)).toEqual([
    ...["a/cluster", "a/cluster/w", "a.w/worker"],
    ...["b/cluster", "b/cluster/w", "b.w/worker"],
  ]);
  expect(merged[1]?.children).toEqual(["a.w/worker"]);
  expect(merged[4]?.children).toEqual(["b.w/worker"]);
});

test("a tree that no process node stands for is left out", () => {
  expect(mergeTrees(root, [tree("old", 19, [node("old/")])]).length).toBe(2);
});

test("a process that is starting has no pid and no children", () => {
  const starting = tree("root", 10, [node("root/w", [], { kind: "process" })]);
  expect(mergeTrees(starting, [])).toMatchObject([{ id: "root/w", pid: 0, children: [] }]);
});
