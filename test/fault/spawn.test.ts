/** Real processes as supervised children: ready, crash, restart, stop, last words. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartError } from "../../runtime/kernel/errors.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import {
  ProcessActor,
  type ProcessMessage,
  type ProcessSpec,
} from "../../runtime/process/spawn.ts";
import { supervisor } from "../../runtime/supervision/supervisor.ts";
import {
  type JoinedProcess,
  joinUnix,
  note,
  probe,
  type TestMessage,
} from "../support/worlds/remote-child.ts";

const childScript = join(import.meta.dir, "../support/worlds/remote-child.ts");
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function root(): Promise<JoinedProcess> {
  const folder = mkdtempSync(join(tmpdir(), "troupe-spawn-"));
  const joined = await joinUnix("root", `unix:${folder}/root.sock`);
  cleanups.push(async () => {
    await joined.system.shutdown(5_000);
    joined.remote.close();
    rmSync(folder, { recursive: true });
  });
  return joined;
}

function spec(more: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    node: "child",
    command: [process.execPath, childScript],
    ready_timeout_ms: 10_000,
    stop_budget_ms: 2_000,
    onLine: () => {},
    ...more,
  };
}

async function mainOf(
  { system }: JoinedProcess,
  ref: Ref<ProcessMessage>,
): Promise<{ main: Ref<TestMessage>; pid: number }> {
  const { main, pid } = await system.ask(ref, { kind: "process_main" }, { deadline_ms: 2_000 });
  if (main === undefined) throw new Error("the child named no main actor");
  return { main, pid };
}

/** Gone, or a zombie that only waits to be reaped. */
export function isDead(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

async function until(done: () => boolean | Promise<boolean>, within_ms = 15_000): Promise<void> {
  const end_ms = performance.now() + within_ms;
  while (!(await done()) && performance.now() < end_ms) await Bun.sleep(5);
  expect(await done()).toBe(true);
}

describe("a process", () => {
  test("is ready when it said so, answers, is shown with its pid, and ends on SIGTERM", async () => {
    const joined = await root();
    const ref = await joined.system.spawnReady(() => new ProcessActor(spec()), { name: "child" });
    const { main, pid } = await mainOf(joined, ref);
    const answer = await joined.system.ask(main, probe("echo"), { deadline_ms: 2_000 });
    expect(answer).toMatchObject({ kind: "note", stage: "echo" });
    const shown = joined.system.tree().find(({ path }) => path === "/child");
    expect(shown).toMatchObject({ kind: "process", pid });
    joined.system.stop(ref);
    await until(() => joined.system.lookup("/child") === undefined);
    expect(isDead(pid)).toBe(true);
    expect(joined.system.crashReports()).toEqual([]);
  });

  test("that is stopped may use its budget to finish", async () => {
    const joined = await root();
    const heard: string[] = [];
    const slow = spec({ env: { TEST_STOP_MS: "300" }, onLine: (line) => heard.push(line) });
    const ref = await joined.system.spawnReady(() => new ProcessActor(slow), { name: "child" });
    const { main, pid } = await mainOf(joined, ref);
    joined.system.stop(ref);
    await until(() => heard.includes("stopping"));
    const late = await joined.system.ask(main, probe("still here"), { deadline_ms: 2_000 });
    expect(late).toMatchObject({ stage: "still here" });
    await until(() => isDead(pid) && heard.includes("all done"));
    expect(joined.system.crashReports()).toEqual([]);
  });

  test("that ignores SIGTERM is killed after its budget", async () => {
    const joined = await root();
    const deaf = spec({ env: { TEST_DEAF: "1" }, stop_budget_ms: 150 });
    const ref = await joined.system.spawnReady(() => new ProcessActor(deaf), { name: "child" });
    const { pid } = await mainOf(joined, ref);
    joined.system.stop(ref);
    await until(() => joined.system.lookup("/child") === undefined);
    expect(isDead(pid)).toBe(true);
  });

  test("that cannot start, is never ready or dies before it is fails its start, says why", async () => {
    const joined = await root();
    const start = (more: Partial<ProcessSpec>): Promise<unknown> =>
      joined.system
        .spawnReady(() => new ProcessActor(spec(more)), { name: "child" })
        .catch((error: unknown) => error);
    const absent = await start({ command: ["/no/such/program"] });
    expect(absent).toBeInstanceOf(StartError);
    expect(String(absent)).toContain("/no/such/program");
    await until(() => joined.system.lookup("/child") === undefined);
    const broken = await start({ command: ["sh", "-c", "echo the disk is full >&2; exit 7"] });
    expect(String(broken)).toMatch(/exited with code 7/);
    await until(() => joined.system.lookup("/child") === undefined);
    const mute = { command: ["sh", "-c", "echo $$ >&2; exec sleep 600"], ready_timeout_ms: 400 };
    const heard: string[] = [];
    const late = await start({ ...mute, onLine: (line) => heard.push(line) });
    expect(String(late)).toMatch(/not ready within 400 ms/);
    await until(() => isDead(Number(heard[0])));
  });

  test("killed with -9 is restarted by its supervisor; the new one answers, the old is dead", async () => {
    const joined = await root();
    const backoff = { first_ms: 10, max_ms: 100, factor: 2, jitter: 0.1 };
    const children = [
      { id: "child", start: () => new ProcessActor(spec()), shutdown_ms: 5_000 },
    ] as const;
    await joined.system.spawnReady(
      supervisor({ strategy: "one_for_one", intensity: 5, period_ms: 5_000, backoff, children }),
      { name: "top" },
    );
    const child = (): Ref<ProcessMessage> =>
      joined.system.lookup("/top/child") as unknown as Ref<ProcessMessage>;
    await until(() => child() !== undefined);
    const first = await mainOf(joined, child());
    const down = new Promise<string>((resolve) => {
      joined.system.onDown(first.main, ({ kind }) => resolve(kind));
    });
    process.kill(first.pid, "SIGKILL");
    expect(await down).toBe("noconnection");
    let second: Awaited<ReturnType<typeof mainOf>> | undefined;
    await until(async () => {
      if (child() === undefined) return false;
      second = await mainOf(joined, child()).catch(() => undefined);
      return second !== undefined && second.pid !== first.pid;
    });
    const answer = joined.system.ask((second as { main: Ref<TestMessage> }).main, probe("hi"), {
      deadline_ms: 2_000,
    });
    expect(await answer).toMatchObject({ stage: "hi" });
    const old = joined.system.ask(first.main, probe("hi"), { deadline_ms: 2_000 });
    await expect(old).rejects.toMatchObject({ code: "down" });
    expect(joined.system.tree().find(({ path }) => path === "/top/child")?.restarts).toBe(1);
    const [report] = joined.system.crashReports();
    expect(report?.reason).toMatchObject({ error: expect.stringContaining("ended by SIGKILL") });
    expect(report?.reason).not.toHaveProperty("stack");
  });

  test("that exits on its own is a crash report with its last words", async () => {
    const joined = await root();
    const heard: string[] = [];
    const ref = await joined.system.spawnReady(
      () => new ProcessActor(spec({ onLine: (line) => heard.push(line) })),
      { name: "child" },
    );
    const { main } = await mainOf(joined, ref);
    main.tell(note("say", 0, "out of luck"));
    await until(() => heard.includes("out of luck"));
    main.tell(note("exit", 3));
    await until(() => joined.system.crashReports().length > 0);
    expect(joined.system.crashReports()[0]?.reason).toMatchObject({
      kind: "crash",
      error: expect.stringMatching(
        /process "child" \(pid \d+\): it exited with code 3; it said: out of luck/,
      ),
    });
  });

  test("that is frozen counts as dead long before one that may only be busy", async () => {
    const folder = mkdtempSync(join(tmpdir(), "troupe-spawn-"));
    const options = {
      heartbeat_ms: 50,
      suspect_after_ms: process.platform === "linux" ? 60_000 : 600,
    };
    const joined = await joinUnix("root", `unix:${folder}/root.sock`, options);
    cleanups.push(async () => {
      await joined.system.shutdown(5_000);
      joined.remote.close();
      rmSync(folder, { recursive: true });
    });
    const ref = await joined.system.spawnReady(() => new ProcessActor(spec()), { name: "child" });
    const { pid } = await mainOf(joined, ref);
    process.kill(pid, "SIGSTOP");
    await until(() => isDead(pid));
    await until(() => joined.system.crashReports().length > 0);
    expect(String(JSON.stringify(joined.system.crashReports()[0]))).toContain(
      process.platform === "linux" ? "it is stopped, and said nothing for" : "nothing heard for",
    );
  });
});
