import { expect, test } from "bun:test";
import {
  cellAt,
  cellsOf,
  countsOf,
  gridOf,
  mapWords,
  slotsOf,
} from "../../../../actors/inspector/page/views/kv/block-map.ts";
import { hottest, prefixLines } from "../../../../actors/inspector/page/views/kv/prefix-tree.ts";

const bytes = [0, 1, 2, 3, 2, 0];
const cells = cellsOf(Buffer.from(bytes).toString("base64"));

test("cells are counted by what they say, and said in words", () => {
  expect([...cells]).toEqual(bytes);
  expect(countsOf(cells)).toEqual({ free: 2, partial: 1, complete: 2, pinned: 1 });
  const words = "2 free, 1 being filled, 2 complete, found by others, 1 in use, stays";
  expect(mapWords(cells, 6)).toBe(words);
  expect(mapWords(cells, 60)).toBe(`${words} (a sample of 6 of 60 slots)`);
  expect(mapWords(new Uint8Array(), 0)).toBe("no slots");
  expect([slotsOf(3, 6, 6), slotsOf(3, 6, 60)]).toEqual(["slot 3", "slot 30 of 60"]);
});

test("a map has a place for every cell, whatever its width", () => {
  for (const width of [1, 300, 720, 1_200]) {
    for (const count of [0, 1, 7, 512, 4_096]) {
      const { columns, rows, pitch } = gridOf(count, width);
      expect(columns * rows).toBeGreaterThanOrEqual(count);
      if (width >= 300) {
        expect(columns * pitch).toBeLessThanOrEqual(width);
        expect(rows * pitch).toBeLessThanOrEqual(260);
      }
    }
  }
});

test("a point is in a cell or in none", () => {
  const grid = { columns: 4, rows: 2, pitch: 10, gap: 2 };
  expect(cellAt(grid, 6, 15, 12)).toBe(5);
  expect(cellAt(grid, 6, 25, 12)).toBeUndefined();
  expect(cellAt(grid, 6, 45, 2)).toBeUndefined();
  expect(cellAt(grid, 6, -1, 2)).toBeUndefined();
});

const node = (hash: string, parent: string | null, hits: number, blocks = 1) => ({
  ...{ hash, parent, hits, blocks },
  workers: ["worker-0"],
});

test("prefixes are a tree, the hottest first, closed branches left out", () => {
  const nodes = [
    ...[node("b", "a", 2), node("a", null, 5, 2), node("c", "a", 4, 3), node("d", "c", 1)],
    ...[node("z", "not listed", 9)],
  ];
  const shown = (closed: string[]) =>
    prefixLines(nodes, new Set(closed)).map((line) => [line.node.hash, line.depth, line.blocks]);
  expect(shown([])).toEqual([
    ["z", 0, 1],
    ["a", 0, 2],
    ["c", 1, 5],
    ["d", 2, 6],
    ["b", 1, 3],
  ]);
  expect(shown(["a"])).toEqual([
    ["z", 0, 1],
    ["a", 0, 2],
  ]);
  expect(hottest(nodes)).toBe(9);
});

test("a circle of prefixes hangs nothing", () => {
  expect(prefixLines([node("a", "b", 1), node("b", "a", 1)], new Set())).toEqual([]);
  expect(prefixLines([node("a", "a", 1)], new Set())).toEqual([]);
});
