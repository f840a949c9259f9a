/** Which blank space is guessed to be next, by what an answer has so far. */
import { expect, test } from "bun:test";
import { blankNext, blanksAfter, FIRST_BLANKS } from "../../../../actors/engine/grammar/blanks.ts";
import { inAlphabet } from "../../../../actors/engine/grammar/grammar-vocab.ts";

const nextOf = (text: string) => {
  const next = blankNext(blanksAfter(FIRST_BLANKS, inAlphabet(text)));
  return next?.replaceAll(inAlphabet(" "), " ").replaceAll(inAlphabet("\n"), "\n");
};

test.each([
  ["", undefined],
  ["{", ""],
  ['{"a', undefined],
  ['{"a"', ""],
  ['{"a":', " "],
  ['{"a": ', ""],
  ['{"a": 1', undefined],
  ['{"a": 1,', " "],
  ['{"a": true', ""],
  ['{"a":1,"b":', ""],
  ['{"a":1,"b":2,', ""],
  ['{"a, b: {": 1,', " "],
  ['{"a\\", {": 1,', " "],
  ['{\n    "a": 1,', "\n    "],
  ['{\n    "a": 1,\n', "    "],
  ['{\n    "a": 1,\n  ', "  "],
  ["{\n", "  "],
  ['{\n    "a": [', ""],
  ['{\n    "a": [\n', "        "],
  ['{\n    "a": [1,', " "],
  ['{\n    "a": [1],', "\n    "],
  ['{\n    "a": {', "\n        "],
  ['{\n    "a": true', "\n"],
  ['{\n    "a": {\n        "b": "c"', "\n    "],
  ['{\n\t"a": 1,', "\n\t"],
  ["He said: it is,\nall in all,", " "],
])("behind %j comes %j", (text, next) => {
  expect(nextOf(text)).toBe(
    next === undefined ? undefined : next.replaceAll("\t", inAlphabet("\t")),
  );
});
