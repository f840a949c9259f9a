import { expect, test } from "bun:test";
import { humanLine } from "../../../runtime/real/log.ts";

test("a JSON log line becomes one line for a person", () => {
  const line = JSON.stringify({
    level: 40,
    time: 0,
    node: "worker-0",
    actor: "/worker",
    msg: "slow",
    took_ms: 5,
  });
  expect(humanLine(line)).toMatch(/^\d\d:\d\d:\d\d warn {2}worker-0\/worker: slow took_ms=5$/);
});

test("anything else stays as it is", () => {
  expect(humanLine("panic: out of memory")).toBe("panic: out of memory");
  expect(humanLine('{"level":30,')).toBe('{"level":30,');
});

test("what a client sent cannot speak to the terminal", () => {
  const line = JSON.stringify({
    level: 40,
    time: 0,
    msg: "\x1b]0;mine\x07",
    stack: "a\n\tb\x9b2J",
  });
  expect(humanLine(line)).toEndWith(" warn  : \\x1b]0;mine\\x07 stack=a\n\tb\\x9b2J");
});
