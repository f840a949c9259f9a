/** `bun run check` counts what was not tested, and says why. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";
import { lacksProgram } from "../../support/needs.ts";
import {
  countOf,
  exitCodeOf,
  failedTests,
  isCi,
  lastLine,
  skippedTests,
  total,
} from "../../support/test-count.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-count-"));
afterAll(() => rmSync(folder, { recursive: true }));

const needs = join(import.meta.dir, "../../support/needs.ts");

async function run(source: string) {
  const file = join(folder, "some.test.ts");
  writeFileSync(file, source);
  const report = join(folder, "report.xml");
  const junit = ["--reporter=junit", `--reporter-outfile=${report}`];
  const child = Bun.spawn([process.execPath, "test", ...junit, file], {
    ...{ cwd: folder, stdout: "pipe", stderr: "pipe" },
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const count = countOf(out + err, await child.exited);
  const text = await Bun.file(report).text();
  return { count, skipped: skippedTests(text), failed: failedTests(text) };
}

test("tests that need what is not there are counted and named with the reason", async () => {
  const { count, skipped } = await run(`
    import { expect, test } from "bun:test";
    import { describeWith, isHere, lacksProgram, testWith } from "${needs}";
    const lack = lacksProgram("no-such-<server>", "sh");
    testWith(lack, "one & only", () => {});
    describeWith(lack, "several", () => { test("inner", () => {}); });
    if (isHere(lack, "a contract")) throw new Error("it is not");
    testWith(undefined, "there", () => { expect(1).toBe(1); });
    test.todo("later");
  `);
  expect(count).toEqual({ passed: 1, failed: 0, skipped: 4 });
  const why = "[skipped: no-such-<server> not installed here (apt-get install no-such-<server>)]";
  expect(skipped).toEqual([
    `some.test.ts: one & only ${why}`,
    `some.test.ts: several ${why} > inner`,
    `some.test.ts: a contract ${why}`,
    "some.test.ts: later",
  ]);
});

test("a failing test, a crash and an empty run are failures", async () => {
  const failing = 'import { test } from "bun:test"; test("x", () => { throw new Error("no"); });';
  expect((await run(failing)).count).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countOf("", 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countOf(" 3 pass\n 0 fail\n", 139)).toEqual({ passed: 3, failed: 1, skipped: 0 });
});

test("what failed is named with its place and with what was wrong", async () => {
  const { count, failed } = await run(`
    import { describe, expect, test } from "bun:test";
    test("fine", () => {});
    describe("a group", () => {
      test("of 'two' & more", () => { expect({ a: "<b>" }).toEqual({ a: 2 }); });
      test("slow", async () => { await Bun.sleep(1000); }, 10);
      test("thrown", () => { throw new Error("what to do"); });
    });
  `);
  expect(count).toEqual({ passed: 1, failed: 3, skipped: 0 });
  expect(failed.map((each) => each.split("\n")[0])).toEqual([
    "some.test.ts:5: a group > of 'two' & more",
    "some.test.ts:6: a group > slow",
    "some.test.ts:7: a group > thrown",
  ]);
  expect(failed[0]).toMatch(/\n {2}.*"a": "<b>"/);
  expect(failed[1]).toContain("\n  test timed out");
  expect(failed[2]).toContain("\n  Error: what to do");
});

test("skips fail where CI is set, and nowhere else", () => {
  const count = total([
    { passed: 1, failed: 0, skipped: 0 },
    { passed: 2, failed: 0, skipped: 3 },
  ]);
  expect(lastLine(count)).toBe("3 passed, 0 failed, 3 skipped");
  expect([exitCodeOf(count, false), exitCodeOf(count, true)]).toEqual([0, 1]);
  expect(exitCodeOf({ ...count, skipped: 0 }, true)).toBe(0);
  expect(exitCodeOf({ ...count, failed: 1 }, false)).toBe(1);
  const set = [undefined, "", "0", "false", "1", "true"].map((CI) => isCi({ CI }));
  expect(set).toEqual([false, false, false, false, true, true]);
});

test("a program that is there is not lacking, and packages have Debian's names", () => {
  expect(lacksProgram("sh")).toBeUndefined();
  expect(lacksProgram("sh", "no-such-program")).toMatch(/^no-such-program not installed here/);
});

test("every skip says why: tests are skipped by test/support/needs.ts alone", async () => {
  const folder = join(import.meta.dir, "../..");
  const others: string[] = [];
  for await (const path of new Glob("**/*.ts").scan({ cwd: folder })) {
    if (path === "support/needs.ts" || path === "unit/bench/test-count.test.ts") continue;
    const text = await Bun.file(join(folder, path)).text();
    if (/\b(test|describe|it)\.(skip|skipIf|if|todo|todoIf)\(/.test(text)) others.push(path);
  }
  expect(others).toEqual([]);
});
