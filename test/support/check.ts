/**
 * `bun run check`: types, format and lint, and every test, in two lanes at once: what starts real
 * processes waits for them some of the time, so the rest computes beside it. Prints the steps of
 * the first lane as they go and those of the second when they have ended, then what was skipped
 * and why, then what failed and how, so that the end of a long output tells both, and ends with
 * `N passed, N failed, N skipped`; exits 1 when anything failed, or was skipped where CI is set.
 * A step counts as one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Count,
  countOf,
  exitCodeOf,
  failedTests,
  isCi,
  lastLine,
  skippedTests,
  total,
} from "./test-count.ts";

const root = `${import.meta.dir}/../..`;

/** A test that hangs ends here. On a machine that is busy with other work Bun's 5 s are no sign. */
const test_ms = 30_000;

type Run = { readonly code: number; readonly output: string };

/** `live`: what it prints is shown as it comes; else when it has ended. */
async function run(command: readonly string[], live: boolean): Promise<Run> {
  const child = Bun.spawn([...command], { cwd: root, stdout: "pipe", stderr: "pipe" });
  let output = "";
  const pass = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      output += text;
      if (live) process.stdout.write(text);
    }
  };
  await Promise.all([pass(child.stdout), pass(child.stderr)]);
  return { code: await child.exited, output };
}

/** A step's name stands before what it prints. */
async function shown(name: string, command: readonly string[], live: boolean): Promise<Run> {
  const started_ms = performance.now();
  if (live) console.log(`\n── ${name}`);
  const ended = await run(command, live);
  if (!live) console.log(`\n── ${name}\n${ended.output}`);
  console.log(`── ${name} took ${secondsSince(started_ms)} s`);
  return ended;
}

const secondsSince = (started_ms: number) => ((performance.now() - started_ms) / 1000).toFixed(0);

type Step = (live: boolean) => Promise<Count>;

const step =
  (name: string, command: readonly string[]): Step =>
  async (live) => {
    const { code, output } = await shown(name, command, live);
    if (code !== 0) failures.push(`${name}: exit code ${code}\n${endOf(output)}`);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  };

const reports = mkdtempSync(join(tmpdir(), "troupe-check-"));
const skips: string[] = [];
const failures: string[] = [];

/** What a step said last, where no report says what failed. */
const endOf = (output: string) => output.trimEnd().split("\n").slice(-40).join("\n");

/** Runs the tests of one folder; its own count, or one failure when it printed none. */
const tests =
  (folder: string): Step =>
  async (live) => {
    const report = join(reports, `${folder}.xml`);
    const junit = ["--reporter=junit", `--reporter-outfile=${report}`];
    const command = [bun, "test", "--timeout", `${test_ms}`, ...junit, `./test/${folder}`];
    const { code, output } = await shown(`test/${folder}`, command, live);
    const count = countOf(output, code);
    const file = Bun.file(report);
    const junit_text = (await file.exists()) ? await file.text() : "";
    skips.push(...skippedTests(junit_text));
    const failed = failedTests(junit_text);
    failures.push(...failed);
    // A process that dies in its tests, or a module that cannot be read, has no report.
    if (failed.length < count.failed) {
      failures.push(`test/${folder}: exit code ${code}\n${endOf(output)}`);
    }
    return count;
  };

async function lane(steps: readonly Step[], live: boolean): Promise<Count[]> {
  const counts: Count[] = [];
  for (const each of steps) counts.push(await each(live));
  return counts;
}

const bun = process.execPath;
const started_ms = performance.now();
// About as long each, by what their steps took on two cores.
const first = ["e2e", "sim"].map(tests);
const second = [
  step("types", [bun, "x", "tsc", "--noEmit", "-p", "."]),
  step("types of the page", [bun, "x", "tsc", "--noEmit", "-p", "actors/inspector/page"]),
  step("format and lint", [bun, "x", "biome", "check", "."]),
  ...["tidy.test.ts", "unit", "contract", "fault"].map(tests),
];
const alone = availableParallelism() === 1;
const counts = alone
  ? await lane([...second, ...first], true)
  : (await Promise.all([lane(first, true), lane(second, false)])).flat();
rmSync(reports, { recursive: true, force: true });
const count = total(counts);
const ci = isCi(process.env);
if (count.skipped > 0) {
  console.log(`\n── skipped${ci ? ", which fails where CI is set" : ""}`);
  for (const name of skips) console.log(name);
}
if (count.failed > 0) console.log("\n── failed");
for (const each of failures) console.log(`\n${each}`);
console.log(`\nin ${secondsSince(started_ms)} s`);
console.log(lastLine(count));
process.exit(exitCodeOf(count, ci));
