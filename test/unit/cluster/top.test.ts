import { expect, test } from "bun:test";
import { askTree } from "../../../cluster/top/feed.ts";
import { bytes, count, fitted, span } from "../../../cluster/top/format.ts";
import { frameOf, printed, rowsIn } from "../../../cluster/top/frame.ts";
import { keysIn } from "../../../cluster/top/keys.ts";
import { plannerWords } from "../../../cluster/top/planner-words.ts";
import { applyTree, plain, type Rows, readTotals, withRates } from "../../../cluster/top/row.ts";
import { firstView, pressed, type View } from "../../../cluster/top/view.ts";

const node = (id: string, more: Readonly<Record<string, unknown>> = {}) => ({
  ...{ id, path: id.slice(id.indexOf("/")), kind: "actor", role: "actor", state: "running" },
  ...{ pid: 0, restarts: 0, mailbox: 0, oldest_ms: 0, handled: 0, children: [] },
  ...more,
});

const nodes = [
  node("root/cluster", { kind: "supervisor", role: "cluster", children: ["root/cluster/workers"] }),
  node("root/cluster/workers", {
    ...{ kind: "supervisor", role: "workers", children: ["root/cluster/workers/worker-0"] },
  }),
  node("root/cluster/workers/worker-0", {
    ...{ kind: "process", role: "worker", pid: 4711, resident_bytes: 57 * 2 ** 20, restarts: 2 },
    children: ["worker-0/worker"],
  }),
  node("worker-0/worker", {
    ...{ role: "worker", mailbox: 3, oldest_ms: 1_500, rate: 1_234.5, ms_per_message: 0.25 },
    more: 12,
  }),
];
const tree = (extra: readonly unknown[] = []) =>
  applyTree(new Map(), { full: true, nodes: [...nodes, ...extra] });

const totals = {
  ...{ requests_per_s: 12.5, tokens_per_s: 1_204, ttft_p50_ms: 12, ttft_p99_ms: 80 },
  ...{ itl_p50_ms: 5, itl_p99_ms: null, running: 3, waiting: 0 },
};
const view = (more: Partial<View> = {}): View => ({
  ...firstView("http://127.0.0.1:8001"),
  ...{ link: { kind: "live" }, rows: tree(), totals },
  ...more,
});
const plainly = { color: false, marks: true };
const small = { columns: 80, lines: 9 };

test("a frame of 80 columns", () => {
  expect(frameOf(view({ marked: 2 }), small, plainly)).toEqual([
    "troupe top  http://127.0.0.1:8001  live  1 process, 4 nodes                     ",
    "13 req/s  1,204 tok/s  TTFT 12ms/80ms  ITL 5ms/–  run 3 wait 0                  ",
    " NAME                   ROLE       STATE      QUEUE   AGE  MSG/S    MS RST   MEM",
    " root/cluster           cluster    running        0                             ",
    "   workers              workers    running        0                             ",
    ">    worker-0 4711      worker     running        0                      2   57M",
    "       worker +12       worker     running        3  1.5s  1,235  0.25          ",
    "                                                                                ",
    "arrows move and fold  / filter  s sort  r roles  q quit                         ",
  ]);
});

test("planners stand behind the load: workers that serve, and how many there are to be", () => {
  const roles = { prefill: { serving: 1, target: 1 }, decode: { serving: 3, target: 5 } };
  const row = (model: string) => ({ model, points: [{ roles: {} }, { roles }] });
  const words = plannerWords({ planners: [row("tiny")] });
  expect(words).toBe("planner prefill 1, decode 3→5");
  const [, line] = frameOf(view({ planner: words ?? "" }), { columns: 120, lines: 9 }, plainly);
  expect(line).toContain("wait 0  planner prefill 1, decode 3→5");
  expect(plannerWords({ planners: [row("a"), row("b")] })).toBe(
    "planner a: prefill 1, decode 3→5; b: prefill 1, decode 3→5",
  );
  for (const none of [
    undefined,
    {},
    { planners: [] },
    { planners: [{ model: "a", points: [] }] },
  ]) {
    expect(plannerWords(none)).toBeUndefined();
  }
});

test("every frame is as wide and as high as its screen, whatever the screen", () => {
  const many = Array.from({ length: 50 }, (_, i) => node(`frontend-0/answers/${i}`));
  for (const columns of [10, 20, 40, 80, 200]) {
    for (const lines of [1, 4, 5, 24, 100]) {
      for (const roles of [false, true]) {
        const frame = frameOf(
          view({ rows: tree(many), roles, marked: 40 }),
          { columns, lines },
          plainly,
        );
        expect(frame).toHaveLength(Math.min(lines, frame.length));
        for (const line of frame) expect([...line]).toHaveLength(columns);
      }
    }
  }
});

test("a wide screen shows roles whole", () => {
  const rows = tree([node("root/x", { role: "inspector-door" })]);
  const wide = frameOf(view({ rows }), { columns: 120, lines: 12 }, plainly);
  expect(wide.find((line) => line.includes("root/x"))).toContain(" inspector-door ");
});

test("a narrow screen keeps the name, the state and what is busy", () => {
  const [, , title] = frameOf(view(), { columns: 42, lines: 5 }, plainly);
  expect(title?.split(/ +/).filter((word) => word !== "")).toEqual([
    ...["NAME", "STATE", "QUEUE", "MSG/S"],
  ]);
});

test("without colour there is no escape sequence, with it what is wrong stands out", () => {
  const rows = tree([
    node("root/x", { state: "crash_loop" }),
    node("root/y", { state: "draining" }),
  ]);
  expect(frameOf(view({ rows }), small, plainly).join("")).not.toContain("\x1b");
  const painted = frameOf(view({ rows }), { columns: 80, lines: 12 }, { color: true, marks: true });
  expect(painted.find((line) => line.includes("crash_loop"))).toStartWith("\x1b[31m");
  expect(painted.find((line) => line.includes("draining"))).toStartWith("\x1b[33m");
  expect(painted.find((line) => line.includes("workers"))).not.toContain("\x1b");
});

test("the table for scripts has every row, no marks and no spaces behind", () => {
  const lines = printed(view(), 100, { color: false, marks: false });
  expect(lines).toHaveLength(7);
  expect(lines.every((line) => line === line.trimEnd())).toBe(true);
  expect(lines.at(-1)).toMatch(/^ {7}worker \+12 .* 0\.25$/);
});

test("a line a role adds up its actors", () => {
  const two = [node("worker-1/worker", { role: "worker", mailbox: 4, rate: 1 })];
  const frame = frameOf(view({ rows: tree(two), roles: true }), small, plainly);
  expect(frame[2]).toContain("ROLE");
  expect(frame[3]).toMatch(/^>worker +2 +7 +1\.5s +1,236/);
  expect(frame.some((line) => /^ worker \(process\) +1 /.test(line))).toBe(true);
});

test("a cluster that does not answer is told in the title", () => {
  const [title] = frameOf(view({ link: { kind: "away", why: "ECONNREFUSED" } }), small, plainly);
  expect(title).toContain("no answer: ECONNREFUSED");
});

const height = rowsIn({ columns: 80, lines: 24 });
const after = (from: View, ...keys: readonly string[]): View =>
  keys.reduce<View>((now, key) => pressed(now, key, height) ?? now, from);

test("arrows move the mark and fold branches", () => {
  expect(after(view(), "down", "down").marked).toBe(2);
  expect(after(view(), "up").marked).toBe(0);
  expect(after(view(), "end").marked).toBe(3);
  const folded = after(view(), "down", "left");
  expect(frameOf(folded, small, plainly)[4]).toContain("workers +1");
  expect(frameOf(folded, small, plainly)[5]?.trim()).toBe("");
  expect(frameOf(after(folded, "right"), small, plainly)[5]).toContain("worker-0");
  // From a leaf to its parent.
  expect(after(view(), "end", "left").marked).toBe(2);
});

test("a filter is typed, kept and ended", () => {
  const typing = after(view(), "/", "4", "7", "q");
  expect(typing).toMatchObject({ typing: true, filter: "47q" });
  expect(frameOf(typing, small, plainly).at(-1)).toStartWith("/47q█");
  const kept = after(typing, "backspace", "backspace", "backspace", "w", "o", "r", "enter");
  expect(kept).toMatchObject({ typing: false, filter: "wor" });
  expect(after(kept, "escape").filter).toBe("");
  expect(after(typing, "escape")).toMatchObject({ typing: false, filter: "" });
});

test("a filter shows what it finds with its parents", () => {
  const rows = tree([node("root/other")]);
  const frame = frameOf(view({ rows, filter: "worker-0/" }), small, plainly);
  expect(frame.slice(3, 8).map((line) => line.slice(1, 24).trim())).toEqual([
    ...["root/cluster", "workers", "worker-0 4711", "worker +12", ""],
  ]);
});

test("sorted by a figure the list is flat, the largest first", () => {
  const sorted = after(view(), "s");
  expect(sorted.sort).toBe("rate");
  const frame = frameOf(sorted, small, plainly);
  expect(frame[2]).toContain("NAME by rate");
  expect(frame[3]).toStartWith(">worker-0/worker +12");
  expect(after(view(), "s", "s", "s", "s", "s", "s").sort).toBe("tree");
});

test("the mark stays on the screen in a long list", () => {
  const rows = tree(Array.from({ length: 500 }, (_, i) => node(`f/a${i}`)));
  const far = after(view({ rows }), "page-down", "page-down", "down");
  const frame = frameOf(far, { columns: 80, lines: 24 }, plainly);
  expect(frame.filter((line) => line.startsWith(">"))).toHaveLength(1);
  expect(far.marked).toBe(2 * height + 1);
  expect(after(far, "home").above).toBe(0);
});

test("q and Ctrl-C leave, but q is a letter of a filter", () => {
  expect(pressed(view(), "q", height)).toBeUndefined();
  expect(pressed(view({ typing: true }), "q", height)?.filter).toBe("q");
  expect(pressed(view({ typing: true }), "ctrl-c", height)).toBeUndefined();
});

test("keys are read from what terminals send", () => {
  expect(keysIn("\x1b[A\x1b[Bq/\x7f\r\x1b")).toEqual([
    ...["up", "down", "q", "/", "backspace", "enter", "escape"],
  ]);
  expect(keysIn("\x1bOC\x1b[5~\x1b[1;5C\x01é")).toEqual([
    ...["right", "page-up", "unknown", "unknown", "é"],
  ]);
});

test("frames of the inspector change what is known, and nonsense does not", () => {
  const gone = applyTree(tree(), { full: false, nodes: [], gone: ["worker-0/worker"] });
  expect(gone.has("worker-0/worker")).toBe(false);
  expect(applyTree(tree(), { nodes: [null, 7, {}, { id: 3 }] }).size).toBe(4);
  expect(applyTree(tree(), { full: true }).size).toBe(0);
  expect(readTotals({ total: { tokens_per_s: 5, ttft_p50_ms: null } })).toMatchObject({
    ...{ tokens_per_s: 5, ttft_p50_ms: null, running: 0 },
  });
  expect(readTotals("x")).toBeUndefined();
});

test("what a terminal would obey is taken out of names", () => {
  expect(plain("a\x1b[2Jb\x07c\u009bd")).toBe("a [2Jb c d");
  const [evil] = applyTree(new Map(), { nodes: [node("n/x", { role: "\x1b]0;hi\x07" })] }).values();
  expect(evil?.role).not.toContain("\x1b");
});

test("rates are what was handled between two trees", () => {
  const at = (handled: number): Rows =>
    applyTree(new Map(), { nodes: [node("a/b", { handled })], full: true });
  expect(withRates(at(10), at(30), 2_000).get("a/b")?.rate).toBe(10);
  expect(withRates(new Map(), at(30), 2_000).get("a/b")?.rate).toBe(0);
});

test("numbers are short", () => {
  expect([0, 7.25, 9_999, 15_300, 2_100_000, 3e9].map(count)).toEqual([
    ...["0", "7.3", "9,999", "15.3k", "2.1M", "3.0G"],
  ]);
  expect([3.4, 1_500, 59_000, 600_000, 7_300_000].map(span)).toEqual([
    ...["3ms", "1.5s", "59s", "10m", "2h"],
  ]);
  expect([2_048, 57 * 2 ** 20, 1.5 * 2 ** 30].map(bytes)).toEqual(["2K", "57M", "1.5G"]);
  expect(fitted("abcdef", 4)).toBe("abc…");
  expect(fitted("ab", 4, "right")).toBe("  ab");
  expect(fitted("ab", 0)).toBe("");
});

test("what answers, but is no inspector, is told from one", async () => {
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => new Response(new URL(request.url).searchParams.get("say")),
  });
  for (const body of ["null", "[]", '{"nodes":{}}']) {
    const url = `http://127.0.0.1:${server.port}/?say=${encodeURIComponent(body)}&`;
    await expect(askTree(url)).rejects.toThrow("is that an inspector's port?");
  }
});
