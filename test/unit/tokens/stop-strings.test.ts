import { expect, test } from "bun:test";
import fc from "fast-check";
import { StopMatcher } from "../../../llm/tokens/stop-strings.ts";

/** Feeds the pieces; the shown text and the stop that ended it. */
function run(
  stops: readonly string[],
  pieces: readonly string[],
  include = false,
): { text: string; stop: string | undefined } {
  const matcher = new StopMatcher(stops, include);
  let text = "";
  for (const piece of pieces) {
    const result = matcher.push(piece);
    text += result.text;
    if (result.stop !== undefined) return { text, stop: result.stop };
  }
  return { text: text + matcher.flush(), stop: undefined };
}

test("a stop string split over pieces is found and not shown", () => {
  const pieces = ["Hello<", "|", "end", "|", "> more"];
  expect(run(["<|end|>"], pieces)).toEqual({ text: "Hello", stop: "<|end|>" });
  expect(run(["<|end|>"], pieces, true)).toEqual({ text: "Hello<|end|>", stop: "<|end|>" });
});

test("only what may begin a stop string is held back", () => {
  const matcher = new StopMatcher(["\n\nUser:"]);
  expect(matcher.push("a\nb")).toEqual({ text: "a\nb", stop: undefined });
  expect(matcher.push("c\n")).toEqual({ text: "c", stop: undefined });
  expect(matcher.push("\n\nUse")).toEqual({ text: "\n", stop: undefined });
  expect(matcher.push("d")).toEqual({ text: "\n\nUsed", stop: undefined });
  expect(matcher.push("\n")).toEqual({ text: "", stop: undefined });
  expect(matcher.flush()).toBe("\n");
});

test("the match that ends first counts, of those the longest", () => {
  expect(run(["abcd", "bc"], ["xabcd"])).toEqual({ text: "xa", stop: "bc" });
  expect(run(["c", "abc"], ["xabc"])).toEqual({ text: "x", stop: "abc" });
  expect(run(["aab"], ["aaab"])).toEqual({ text: "a", stop: "aab" });
});

test("nothing comes after a stop, and empty stop strings never match", () => {
  const matcher = new StopMatcher(["x", ""]);
  expect(matcher.push("axb")).toEqual({ text: "a", stop: "x" });
  expect(matcher.push("cxd")).toEqual({ text: "", stop: "x" });
  expect(matcher.flush()).toBe("");
  expect(run([""], ["abc"])).toEqual({ text: "abc", stop: undefined });
});

/** The plain way: look at every end position of the whole text. */
function reference(stops: readonly string[], text: string) {
  for (let end = 1; end <= text.length; end++) {
    const found = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    const stop = found.sort((a, b) => b.length - a.length)[0];
    if (stop !== undefined) return { text: text.slice(0, end - stop.length), stop };
  }
  return { text, stop: undefined };
}

test("any cutting gives what the plain search over the whole text gives", () => {
  const word = fc.string({
    unit: fc.constantFrom("a", "b", "c", "🦙"),
    minLength: 1,
    maxLength: 5,
  });
  const pieces = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "🦙"), maxLength: 6 }));
  const property = fc.property(fc.array(word, { maxLength: 4 }), pieces, (stops, parts) => {
    expect(run(stops, parts)).toEqual(reference(stops, parts.join("")));
  });
  fc.assert(property, { numRuns: 2000 });
});

test("long stop strings that nearly match cost linear time", () => {
  const stop = `${"a".repeat(50_000)}b`;
  const text = "a".repeat(200_000);
  expect(run([stop], [text])).toEqual({ text, stop: undefined });
});
