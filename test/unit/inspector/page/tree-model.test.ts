/** The tree as the page knows it: frames in, rows out. */
import { expect, test } from "bun:test";
import {
  FLASH_MS,
  noFilter,
  TreeModel,
} from "../../../../actors/inspector/page/data/tree-model.ts";
import type { TreeFrame, TreeRow } from "../../../../actors/inspector/page/data/types.ts";

const row = (
  id: string,
  children: readonly string[] = [],
  more: Partial<TreeRow> = {},
): TreeRow => ({
  ...{ id, path: id.slice(id.indexOf("/")), kind: children.length > 0 ? "supervisor" : "actor" },
  ...{ role: "actor", pid: 7, state: "running", restarts: 0, mailbox: 0, oldest_ms: 0 },
  ...{ handled: 0, rate: 0, children },
  ...more,
});

const frame = (nodes: readonly TreeRow[], more: Partial<TreeFrame> = {}): TreeFrame => ({
  ...{ topic: "tree", full: false, at_ms: 1_000, nodes, gone: [] },
  ...more,
});

function small(): TreeModel {
  const model = new TreeModel();
  const process = row("root/c/w/process", ["w/worker"], { kind: "process", role: "worker" });
  const nodes = [
    row("root/c", ["root/c/w", "root/c/x"]),
    row("root/c/w", ["root/c/w/process"]),
    process,
    row("w/worker", [], { role: "worker", rate: 3 }),
    row("root/c/x"),
  ];
  model.apply(frame(nodes, { full: true }), 0);
  return model;
}

const shown = (model: TreeModel, filter = noFilter) =>
  model.visible(filter).map(({ row, level, isMatch }) => `${level}${isMatch ? " " : "~"}${row.id}`);

test("rows come depth first, with their level, over the edge of a process", () => {
  expect(shown(small())).toEqual([
    ...["1 root/c", "2 root/c/w", "3 root/c/w/process", "4 w/worker", "2 root/c/x"],
  ]);
});

test("a closed branch hides what is below it, and all can be closed and opened", () => {
  const model = small();
  model.setOpen("root/c/w", false);
  expect(shown(model)).toEqual(["1 root/c", "2 root/c/w", "2 root/c/x"]);
  model.setAll(true);
  expect(shown(model)).toHaveLength(5);
  model.setAll(false);
  expect(shown(model)).toEqual(["1 root/c", "2 root/c/w", "2 root/c/x"]);
});

test("what is looked for is found in closed branches, with the way to it", () => {
  const model = small();
  model.setAll(false);
  expect(shown(model, { ...noFilter, text: "w/WORKER" })).toEqual([
    ...["1~root/c", "2~root/c/w", "3~root/c/w/process", "4 w/worker"],
  ]);
  expect(shown(model, { ...noFilter, state: "processes" })).toEqual([
    ...["1~root/c", "2~root/c/w", "3 root/c/w/process"],
  ]);
  expect(shown(model, { ...noFilter, state: "busy" }).at(-1)).toBe("4 w/worker");
  expect(shown(model, { ...noFilter, role: "worker" })).toHaveLength(4);
  expect(shown(model, { ...noFilter, state: "trouble" })).toEqual([]);
  model.apply(frame([row("root/c/x", [], { last_crash: "boom" })]), 0);
  expect(shown(model, { ...noFilter, state: "trouble" })).toEqual(["1~root/c", "2 root/c/x"]);
});

test("a frame changes what it names alone; a full one forgets all others", () => {
  const model = small();
  model.apply(frame([row("root/c", ["root/c/w"])], { gone: ["root/c/x"] }), 0);
  expect(shown(model)).toHaveLength(4);
  expect(model.get("w/worker")?.rate).toBe(3);
  model.apply(frame([row("root/c")], { full: true }), 0);
  expect(shown(model)).toEqual(["1 root/c"]);
});

test("a restart is told once, and its row flashes for a while", () => {
  const model = small();
  const again = row("root/c/x", [], { restarts: 2 });
  expect(model.apply(frame([again]), 100)).toEqual([{ id: "root/c/x", restarts: 2 }]);
  expect(model.apply(frame([again]), 200)).toEqual([]);
  expect(model.flashes("root/c/x", 100 + FLASH_MS - 1)).toBe(true);
  expect(model.flashes("root/c/x", 100 + FLASH_MS + 1)).toBe(false);
  expect(model.flashes("root/c", 101)).toBe(false);
  // One that is new here may have been started again long ago.
  const other = row("root/c/y", [], { restarts: 5 });
  expect(model.apply(frame([other]), 300)).toEqual([]);
});

test("a process that is away between two lives flashes when it is back", () => {
  const model = small();
  const id = "root/c/w/process";
  model.apply(frame([], { gone: [id] }), 100);
  expect(shown(model)).not.toContain(`3 ${id}`);
  const back = row(id, [], { kind: "process", restarts: 1 });
  expect(model.apply(frame([back]), 200)).toEqual([{ id, restarts: 1 }]);
  expect(model.flashes(id, 201)).toBe(true);
});

test("children that are not listed have a row that says how many", () => {
  const model = new TreeModel();
  model.apply(frame([row("a/s", ["a/s/1"], { more: 9_900 }), row("a/s/1")], { full: true }), 0);
  const rows = model.visible(noFilter);
  expect(rows.map(({ isMore }) => isMore)).toEqual([undefined, undefined, 9_900]);
});

test("a server that counts no messages a second: they come from what was handled", () => {
  const model = new TreeModel();
  const counted = (handled: number) => {
    const { rate: _rate, ...plain } = row("a/b", [], { handled });
    return plain;
  };
  model.apply(frame([counted(10)], { full: true, at_ms: 1_000 }), 0);
  expect(model.get("a/b")?.rate).toBeUndefined();
  model.apply(frame([counted(30)], { full: true, at_ms: 3_000 }), 0);
  expect(model.get("a/b")?.rate).toBe(10);
});

test("the course of a process is what the actors in it take", () => {
  const model = small();
  model.apply(frame([row("w/worker", [], { rate: 5 })]), 1_000);
  expect(model.courseOf("root/c/w/process")).toEqual([3, 5]);
});
