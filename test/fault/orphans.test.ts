/** Nothing is left when the root dies by kill -9, whichever of the two guards has to do it. */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const support = join(import.meta.dir, "../support/worlds");
const leftovers: (() => void)[] = [];
afterEach(() => {
  for (const remove of leftovers.splice(0)) remove();
});

type Family = { readonly root: number; readonly child: number; readonly grandchild: number };

async function family(env: Record<string, string> = {}): Promise<Family> {
  const folder = mkdtempSync(join(tmpdir(), "troupe-orphans-"));
  leftovers.push(() => rmSync(folder, { recursive: true, force: true }));
  const child = join(support, "remote-child.ts");
  const root = Bun.spawn(
    [process.execPath, join(support, "remote-root.ts"), `unix:${folder}/root.sock`, child],
    { env: { ...process.env, ...env }, stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const pids: Record<string, number> = {};
  let text = "";
  for await (const bytes of root.stdout) {
    text += new TextDecoder().decode(bytes);
    for (const [, name, pid] of text.matchAll(/^(\w+) (\d+)\n/gm))
      pids[name as string] = Number(pid);
    if (pids["root"] && pids["child"] && pids["grandchild"]) break;
  }
  leftovers.push(() => {
    for (const pid of Object.values(pids)) {
      if (!isDead(pid)) process.kill(pid, "SIGKILL");
    }
  });
  return pids as Family;
}

/** Gone, or a zombie that only waits to be reaped. */
function isDead(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

async function allDead(pids: readonly number[], within_ms: number): Promise<boolean> {
  const end_ms = performance.now() + within_ms;
  while (!pids.every(isDead) && performance.now() < end_ms) await Bun.sleep(10);
  return pids.every(isDead);
}

test("kill -9 of the root takes the child and its own foreign child along", async () => {
  const { root, child, grandchild } = await family();
  expect([root, child, grandchild].some(isDead)).toBe(false);
  process.kill(root, "SIGKILL");
  expect(await allDead([root, child, grandchild], 10_000)).toBe(true);
});

test("without the flag the child still leaves by itself, as its line to the root is cut", async () => {
  const { root, child, grandchild } = await family({ TEST_NO_FLAG: "1" });
  process.kill(root, "SIGKILL");
  expect(await allDead([root, child], 10_000)).toBe(true);
  // It is this guard that did it: the flag would have ended the foreign grandchild too.
  expect(isDead(grandchild)).toBe(false);
});

test("kill -9 of the child takes its grandchild along and leaves the root", async () => {
  const { root, child, grandchild } = await family();
  process.kill(child, "SIGKILL");
  expect(await allDead([child, grandchild], 10_000)).toBe(true);
  expect(isDead(root)).toBe(false);
});
