import { expect, test } from "bun:test";
import { realClock } from "../../../runtime/real/clock.ts";
import { realIds } from "../../../runtime/real/ids.ts";

test("real timers fire, cancelled ones do not, and deferred work runs after microtasks", async () => {
  const clock = realClock();
  const seen: string[] = [];
  const cancelled = clock.after(1, () => seen.push("cancelled"));
  clock.cancel(cancelled);
  const start_ms = clock.now_ms();
  clock.defer(() => seen.push("deferred"));
  queueMicrotask(() => seen.push("microtask"));
  await new Promise<void>((done) => clock.after(5, done));
  // Platform timers count whole milliseconds from the tick's start.
  expect(clock.now_ms() - start_ms).toBeGreaterThanOrEqual(4);
  expect(seen).toEqual(["microtask", "deferred"]);
  expect(Math.abs(clock.wall_ms() - Date.now())).toBeLessThan(1000);
});

test("a delay longer than the platform's timers does not fire at once", async () => {
  const clock = realClock();
  let fired = false;
  const timer = clock.after(2 ** 40, () => {
    fired = true;
  });
  await new Promise<void>((done) => clock.after(5, done));
  expect(fired).toBe(false);
  clock.cancel(timer);
});

test("ids never repeat and are safe in a URL", () => {
  const ids = realIds();
  const drawn = new Set(Array.from({ length: 10_000 }, () => ids.next()));
  expect(drawn.size).toBe(10_000);
  for (const id of drawn) expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
});

test("logs go to stderr as JSON lines, stdout stays clean", async () => {
  const code = `
    import { realLog } from "${import.meta.dir}/../../../runtime/real/log.ts";
    const log = realLog("info", { node: "n" });
    log.log("debug", "not shown");
    log.log("warn", "shown", { path: "/a" });
  `;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(out).toBe("");
  const lines = err.trim().split("\n");
  expect(lines.length).toBe(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    msg: "shown",
    path: "/a",
    node: "n",
    level: 40,
  });
});

test("long timers share the platform's, are never early, and can be cancelled", async () => {
  const clock = realClock(10);
  const fired: string[] = [];
  const start_ms = clock.now_ms();
  let early = false;
  const cancelled = clock.after(20, () => fired.push("cancelled"));
  const later = new Promise<void>((done) => {
    clock.after(60, () => {
      if (clock.now_ms() - start_ms < 60) early = true;
      fired.push("later");
      done();
    });
  });
  clock.after(12, () => {
    if (clock.now_ms() - start_ms < 12) early = true;
    fired.push("sooner");
  });
  clock.cancel(cancelled);
  clock.cancel(cancelled);
  await later;
  expect(fired).toEqual(["sooner", "later"]);
  expect(early).toBe(false);
});
