/** `bun run replay` with a trace or a report that is no file: one line that says what to do. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const REPLAY = join(import.meta.dir, "../../bench/replay.ts");

function saidBy(...args: string[]): string {
  const run = Bun.spawnSync([process.execPath, REPLAY, ...args]);
  expect(run.exitCode).toBe(2);
  return run.stderr.toString();
}

const ADVICE = "give the path of a trace, or synthetic:requests=4000\n";

test("a trace that is not there, and one that is a folder", () => {
  expect(saidBy("nope.jsonl")).toBe(`replay: there is no file nope.jsonl: ${ADVICE}`);
  expect(saidBy("/tmp")).toBe(`replay: /tmp cannot be read (EISDIR): ${ADVICE}`);
});

test("a report that cannot be written", () => {
  expect(saidBy("synthetic:requests=2", "--requests", "/no/such/folder/r.jsonl")).toBe(
    "replay: --requests /no/such/folder/r.jsonl cannot be written (ENOENT): give another path\n",
  );
});
