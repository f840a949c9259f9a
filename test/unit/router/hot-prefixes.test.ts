import { expect, test } from "bun:test";
import fc from "fast-check";
import { CacheIndex } from "../../../actors/router/index/cache-index.ts";
import { hotPrefixes } from "../../../actors/router/prefixes/hot-prefixes.ts";
import { RecentPrompts } from "../../../actors/router/prefixes/recent-prompts.ts";
import { type HashPairs, pairsOf } from "../../../llm/blocks/block-table.ts";
import { hottest, type PrefixNode, prefixTree } from "../../../llm/blocks/prefix-tree.ts";

/** A letter a block; its hash names all letters up to it, as real ones do. */
function prompt(text: string): HashPairs {
  const hashes = BigUint64Array.from(text, (_, i) => Bun.hash.xxHash3(text.slice(0, i + 1)));
  return pairsOf(hashes);
}

/** Each node as its length, its hits and its children. */
const shape = (nodes: readonly PrefixNode[]): unknown =>
  nodes.map(({ from, to, hits, children }) => [to - from, hits, shape(children)]);

test("prompts share their beginnings", () => {
  const tree = prefixTree(["abcd", "abce", "abx", "q"].map(prompt));
  expect(shape(tree)).toEqual([
    [
      2,
      3,
      [
        [
          1,
          2,
          [
            [1, 1, []],
            [1, 1, []],
          ],
        ],
        [1, 1, []],
      ],
    ],
    [1, 1, []],
  ]);
});

test("a prompt that ends within another one splits it", () => {
  expect(shape(prefixTree(["abcd", "ab", "ab"].map(prompt)))).toEqual([[2, 3, [[2, 1, []]]]]);
});

test("each prefix has as many hits as prompts that begin with it", () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(texts, (all) => {
      const walk = (nodes: readonly PrefixNode[]): void => {
        for (const { prompt: row, to, hits, children } of nodes) {
          const name = (hashes: HashPairs) => `${hashes[2 * to - 2]} ${hashes[2 * to - 1]}`;
          expect(hits).toBe(all.filter((text) => name(prompt(text)) === name(row)).length);
          walk(children);
        }
      };
      walk(prefixTree(all.map(prompt)));
    }),
  );
});

test("the hottest come first, and the parent of each before it", () => {
  const rows = hottest(prefixTree(["abcd", "abce", "abx", "q", "q", "q", "q"].map(prompt)), 3);
  expect(rows.map(({ hits, blocks }) => [hits, blocks])).toEqual([
    [4, 1],
    [3, 2],
    [2, 1],
  ]);
  expect(rows[2]?.parent).toBe(rows[1]?.hash ?? "");
  expect(rows[0]?.parent).toBeNull();
  expect(rows[0]?.hash).toBe(Bun.hash.xxHash3("q").toString(16).padStart(16, "0"));
});

test("a busy router keeps a sample of the prompts, a quiet one all", () => {
  const busy = new RecentPrompts();
  for (let i = 0; i < 10_000; i += 1) busy.note(prompt("ab"), 1_000 + i / 100);
  expect(busy.seen).toBe(10_000);
  expect(busy.prompts.length).toBeLessThan(32);
  const quiet = new RecentPrompts();
  for (let i = 0; i < 600; i += 1) quiet.note(prompt("ab"), i * 1_000);
  expect(quiet.prompts).toHaveLength(512);
  quiet.note(new Uint32Array(0), 1e9);
  expect(quiet.prompts).toHaveLength(512);
});

test("each prefix names the workers that have all of it", () => {
  const index = new CacheIndex();
  const [first, second] = [index.addWorker("events"), index.addWorker("events")];
  index.stored(first, 0, 0, prompt("abcd"));
  index.stored(second, 0, 0, prompt("ab"));
  const recent = new RecentPrompts();
  for (const text of ["abcd", "abx"]) recent.note(prompt(text), 1_000);
  const names = new Map([
    [first, "w0"],
    [second, "w1"],
  ]);
  const { nodes, prompts } = hotPrefixes("m", recent, index, (slot) => names.get(slot), 0);
  expect(prompts).toBe(2);
  expect(nodes.map(({ blocks, workers }) => [blocks, workers])).toEqual([
    [2, ["w0", "w1"]],
    [2, ["w0"]],
    [1, []],
  ]);
});
