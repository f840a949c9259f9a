/**
 * `bun run check`: types, format and lint, then every test. Prints each step as it goes and ends
 * with `N passed, N failed`; exits 1 when anything failed. A step counts as one.
 */
type Count = { passed: number; failed: number };

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
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Runs the tests of one folder; its own count, or one failure when it printed none. */
async function tests(folder: string): Promise<Count> {
  console.log(`\n── test/${folder}`);
  const command = [process.execPath, "test", "--timeout", `${test_ms}`, `./test/${folder}`];
  const { code, output } = await run(command);
  const last = (pattern: RegExp) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0);
  const count = { passed: last(/^\s*(\d+) pass$/gm), failed: last(/^\s*(\d+) fail$/gm) };
  // A crash, or a folder in which nothing ran, must not look green.
  if (code !== 0 && count.failed === 0) count.failed = 1;
  if (count.passed + count.failed === 0) count.failed = 1;
  return count;
}

const bun = process.execPath;
const started_ms = performance.now();
const counts = [
  await step("types", [bun, "x", "tsc", "--noEmit", "-p", "."]),
  await step("format and lint", [bun, "x", "biome", "check", "."]),
];
for (const folder of ["tidy.test.ts", "unit", "contract", "sim", "fault", "e2e"]) {
  counts.push(await tests(folder));
}
const total = counts.reduce((sum, count) => ({
  passed: sum.passed + count.passed,
  failed: sum.failed + count.failed,
}));
console.log(`\nin ${((performance.now() - started_ms) / 1000).toFixed(0)} s`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);
