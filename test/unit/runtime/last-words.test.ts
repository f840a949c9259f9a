import { expect, test } from "bun:test";
import { lastWords } from "../../../runtime/process/last-words.ts";

const logged = (level: number, msg: string) => JSON.stringify({ level, time: 1, node: "n", msg });

test.each([
  [[], ""],
  [["out of luck"], "out of luck"],
  [[logged(30, "all is well")], ""],
  [[logged(30, "well"), logged(40, "slow"), logged(50, "broken"), "at f"], "slow | broken | at f"],
  [['{"level":60', '{"level":"x"}', '{"a":1}'], '{"level":60 | {"level":"x"} | {"a":1}'],
])("%j may tell why a process ended by %j", (lines, words) => {
  expect(lastWords(lines)).toBe(words);
});
