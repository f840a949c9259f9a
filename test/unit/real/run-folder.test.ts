/** Where a run's sockets lie, and which folders of earlier runs are taken away. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newRunFolder, RunFolderError } from "../../../runtime/real/run-folder.ts";
import { urlHost } from "../../../runtime/url-host.ts";

let base = "";
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "runs-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const uid = process.getuid?.() ?? 0;
const module = join(import.meta.dir, "../../../runtime/real/run-folder.ts");
/** No process has it: Linux' greatest is 4,194,304. */
const no_pid = 99_999_999;

/** A root in a process of its own; `then` runs once it has its folder. */
async function elsewhere(then: string): Promise<string> {
  const code = `
    const { newRunFolder } = await import("${module}");
    const { path } = await newRunFolder(["${base}"]);
    console.log(path);
    ${then}`;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
  const path = (await new Response(child.stdout).text()).trim();
  await child.exited;
  return path;
}

test("a folder for this user alone, with a short name", async () => {
  const { path, warning } = await newRunFolder([base]);
  expect(path).toMatch(new RegExp(`^${base}/troupe-${uid}-${process.pid}-\\w{6}$`));
  expect(warning).toBeUndefined();
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("the folder of a root that was killed goes with the next start", async () => {
  const path = await elsewhere("process.kill(process.pid, 'SIGKILL');");
  expect(existsSync(path)).toBe(true);
  await newRunFolder([base]);
  expect(existsSync(path)).toBe(false);
});

test("the folder of a living root stays, also of one whose pid means nothing here", async () => {
  const mine = (await newRunFolder([base])).path;
  const theirs = join(base, `troupe-${uid}-${no_pid}-abcdef`);
  mkdirSync(theirs);
  const noHandlers = { data() {} };
  const listener = Bun.listen({ unix: join(theirs, "alive.sock"), socket: noHandlers });
  await newRunFolder([base]);
  expect([existsSync(mine), existsSync(theirs)]).toEqual([true, true]);
  listener.stop();
});

test("what only has the prefix is somebody else's: it stays and stops nobody", async () => {
  const foreign = [
    `troupe-${uid}-data`,
    `troupe-${uid}-${no_pid}-abcdef`, // no socket in it
    `troupe-${uid}-${no_pid}-ABCDEF`, // a file in place of the socket
    `troupe-${uid}--1-abcdef`,
    `troupe-${uid + 1}-${no_pid}-abcdef`,
  ];
  for (const name of foreign) {
    mkdirSync(join(base, name));
    writeFileSync(join(base, name, "precious"), "data");
  }
  writeFileSync(join(base, foreign[2] ?? "", "alive.sock"), "");
  writeFileSync(join(base, `troupe-${uid}-${no_pid}-filefi`), "no folder");
  await newRunFolder([base]);
  for (const name of foreign) expect(existsSync(join(base, name, "precious"))).toBe(true);
});

test("a base that cannot be used gives way to the next one, with the reason", async () => {
  const missing = join(base, "missing");
  const { path, warning } = await newRunFolder([missing, base]);
  expect(path).toStartWith(`${base}/`);
  expect(warning).toBe(`${missing} does not exist: this run's sockets lie in ${base} instead`);
  const long = join(base, "x".repeat(90));
  mkdirSync(long);
  expect((await newRunFolder([long, base])).warning).toContain("path is too long for sockets");
});

test("without any it is one line that says what to do", async () => {
  const file = join(base, "file");
  writeFileSync(file, "");
  const start = newRunFolder([join(base, "missing"), file]);
  await expect(start).rejects.toBeInstanceOf(RunFolderError);
  await expect(start).rejects.toThrow(
    /missing does not exist; .*file is not a folder\): set TMPDIR/,
  );
});

test("hosts in URLs", () => {
  expect(["127.0.0.1", "::1", "[::1]", "fe80::1%lo", "h.example"].map(urlHost)).toEqual([
    ...["127.0.0.1", "[::1]", "[::1]", "[fe80::1%25lo]", "h.example"],
  ]);
});
