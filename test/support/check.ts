/**
 * `bun run check`: types, format and lint, then every test. Prints each step as it goes, then what
 * was skipped and why, and ends with `N passed, N failed, N skipped`; exits 1 when anything failed,
 * or was skipped where CI is set. A step counts as one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Count,
  countOf,
  exitCodeOf,
  isCi,
  lastLine,
  skippedTests,
  total,
} from "./test-count.ts";

const root = `${import.meta.dir}/../..`;

/** A test that hangs ends here. On a machine that is busy with other work Bun's 5 s are no sign. */
const test_ms = 30_000;

async function run(command: readonly string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...command], { cwd: root, stdout: "pipe", stderr: "pipe" });
  let output = "";
  const pass = async (stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      output += text;
      to.write(text);
    }
  };
  await Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)]);
  return { code: await child.exited, output };
}

async function step(name: string, command: readonly string[]): Promise<Count> {
  console.log(`\n── ${name}`);
  const { code } = await run(command);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

const reports = mkdtempSync(join(tmpdir(), "troupe-check-"));
const skips: string[] = [];

/** Runs the tests of one folder; its own count, or one failure when it printed none. */
async function tests(folder: string): Promise<Count> {
  console.log(`\n── test/${folder}`);
  const report = join(reports, `${folder}.xml`);
  const junit = ["--reporter=junit", `--reporter-outfile=${report}`];
  const command = [process.execPath, "test", "--timeout", `${test_ms}`, ...junit];
  const { code, output } = await run([...command, `./test/${folder}`]);
  const count = countOf(output, code);
  const file = Bun.file(report);
  if (count.skipped > 0 && (await file.exists())) skips.push(...skippedTests(await file.text()));
  return count;
}

const bun = process.execPath;
const started_ms = performance.now();
const counts = [
  await step("types", [bun, "x", "tsc", "--noEmit", "-p", "."]),
  await step("types of the page", [bun, "x", "tsc", "--noEmit", "-p", "actors/inspector/page"]),
  await step("format and lint", [bun, "x", "biome", "check", "."]),
];
for (const folder of ["tidy.test.ts", "unit", "contract", "sim", "fault", "e2e"]) {
  counts.push(await tests(folder));
}
rmSync(reports, { recursive: true, force: true });
const count = total(counts);
const ci = isCi(process.env);
if (count.skipped > 0) {
  console.log(`\n── skipped${ci ? ", which fails where CI is set" : ""}`);
  for (const name of skips) console.log(name);
}
console.log(`\nin ${((performance.now() - started_ms) / 1000).toFixed(0)} s`);
console.log(lastLine(count));
process.exit(exitCodeOf(count, ci));
