import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Block,
  type Inline,
  inlineOf,
  markdown,
} from "../../../../actors/inspector/page/views/chat/markdown.ts";

const text = (words: string) => ({ kind: "text", text: words }) as const;
const paragraph = (words: string) => ({ kind: "paragraph", inside: [text(words)] }) as const;

test("blocks", () => {
  const page = [
    ...["# Title", "", "Two", "lines", "", "- a", "- b", "  - c", "", "> quoted", "", "---"],
    ...["```ts", "const a = **1**;", "```", "3. three", "4. four"],
  ].join("\n");
  expect(markdown(page)).toEqual([
    { kind: "heading", level: 1, inside: [text("Title")] },
    paragraph("Two\nlines"),
    {
      ...{ kind: "list", start: undefined },
      items: [
        [paragraph("a")],
        [paragraph("b"), { kind: "list", start: undefined, items: [[paragraph("c")]] }],
      ],
    },
    { kind: "quote", inside: [paragraph("quoted")] },
    { kind: "rule" },
    { kind: "code", language: "ts", text: "const a = **1**;" },
    { kind: "list", start: 3, items: [[paragraph("three")], [paragraph("four")]] },
  ]);
});

test("a fence that is still open holds all that came", () => {
  expect(markdown("```\na\n\nb")).toEqual([{ kind: "code", language: "", text: "a\n\nb" }]);
});

test("a table has its head's columns at least", () => {
  expect(markdown("| a | b |\n|---|:-:|\n| 1 | 2 | 3 |\n| 4 |")).toEqual([
    {
      ...{ kind: "table", head: [[text("a")], [text("b")]] },
      rows: [
        [[text("1")], [text("2")], [text("3")]],
        [[text("4")], []],
      ],
    },
  ]);
});

test("marks inside of a line", () => {
  expect(inlineOf("a **b *c*** `d*` __e__ _f_ g_h_i 2 * 3 * 4 \\*")).toEqual([
    text("a "),
    { kind: "strong", inside: [text("b "), { kind: "em", inside: [text("c")] }] },
    text(" "),
    { kind: "code", text: "d*" },
    text(" "),
    { kind: "strong", inside: [text("e")] },
    text(" "),
    { kind: "em", inside: [text("f")] },
    text(" g_h_i 2 * 3 * 4 *"),
  ]);
});

test("only links to http and https are links", () => {
  const link = (href: string, words: string) => ({ kind: "link", href, inside: [text(words)] });
  expect(inlineOf("[a](https://b.c) [x](javascript:alert(1))")).toEqual([
    link("https://b.c", "a"),
    text(" [x](javascript:alert(1))"),
  ] as Inline[]);
  expect(inlineOf("see http://b.c/d.")).toEqual([
    text("see "),
    link("http://b.c/d", "http://b.c/d"),
    text("."),
  ] as Inline[]);
});

test("no letter is lost, whatever comes", () => {
  const letters = fc.string({ unit: fc.constantFrom(..."ab *_`~#>|-1.\n[]()\\"), maxLength: 80 });
  fc.assert(
    fc.property(letters, (page) => {
      const told = wordsOf(markdown(page)).filter((each) => /[ab]/.test(each));
      // The language of a fence is told apart from its text.
      const lost = [...page].filter((each) => /[ab]/.test(each)).length - told.length;
      expect(lost).toBe(0);
    }),
    { numRuns: 300 },
  );
});

const wordsOf = (blocks: readonly Block[]): string[] =>
  blocks.flatMap((block): string[] => {
    switch (block.kind) {
      case "code":
        return [...block.language, ...block.text];
      case "quote":
        return wordsOf(block.inside);
      case "list":
        return block.items.flatMap(wordsOf);
      case "table":
        return [block.head, ...block.rows].flat().flatMap(lettersOf);
      case "rule":
        return [];
      default:
        return lettersOf(block.inside);
    }
  });

const lettersOf = (inside: readonly Inline[]): string[] =>
  inside.flatMap((each) => ("text" in each ? [...each.text] : lettersOf(each.inside)));
