import { expect, test } from "bun:test";
import fc from "fast-check";
import { SeededRandom } from "../../runtime/random.ts";
import { childSpan, formatTraceparent, newTrace, parseTraceparent } from "../../runtime/trace.ts";

const sample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test("the standard's own example is read and written back", () => {
  const trace = parseTraceparent(sample);
  expect(trace).toEqual({
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: "00f067aa0ba902b7",
    flags: 1,
  });
  expect(formatTraceparent(trace as NonNullable<typeof trace>)).toBe(sample);
});

test("what is not a valid traceparent is none at all", () => {
  const bad = [
    "",
    "garbage",
    sample.toUpperCase(),
    sample.replace("00-4", "ff-4"),
    `${sample}-more`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-4bf92f3577b34da6a3ce929d0e0e4736-${"0".repeat(16)}-01`,
    sample.slice(0, -1),
  ];
  for (const header of bad) expect(parseTraceparent(header)).toBeUndefined();
});

test("a later version may carry more fields", () => {
  const later = `${sample.replace("00-", "01-")}-more`;
  expect(parseTraceparent(later)?.span_id).toBe("00f067aa0ba902b7");
});

test("any text is read or refused, never thrown on, and what is made is read back", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer(), (text, seed) => {
      parseTraceparent(text);
      const random = new SeededRandom(seed);
      const trace = newTrace(random, seed % 2 === 0);
      expect(parseTraceparent(formatTraceparent(trace))).toEqual(trace);
      const child = childSpan(trace, random);
      expect(child.trace_id).toBe(trace.trace_id);
      expect(child.span_id).not.toBe(trace.span_id);
      expect(child.flags).toBe(trace.flags);
    }),
  );
});
