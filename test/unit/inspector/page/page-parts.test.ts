/** The pure parts of the page: differences, history, acts, figures; and the page as HTML. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { actionsFor } from "../../../../actors/inspector/page/act/actions.ts";
import { changesIn, diffOf } from "../../../../actors/inspector/page/data/diff.ts";
import {
  extended,
  HISTORY_MAX,
  noHistory,
} from "../../../../actors/inspector/page/data/history.ts";
import type { Entry, TreeRow } from "../../../../actors/inspector/page/data/types.ts";
import {
  briefly,
  bytes,
  duration,
  nameOf,
  rate,
} from "../../../../actors/inspector/page/ui/format.ts";
import { pageFor } from "../../../../actors/inspector/page-html.ts";

test("a crash is said in short where the row says whose it is", () => {
  const died = 'crash: ProcessDied: process "w" (pid 7): it was ended by SIGKILL';
  expect(briefly(died)).toBe("it was ended by SIGKILL");
  expect(briefly(`process is away: ${died}`)).toBe("process is away: it was ended by SIGKILL");
  expect(briefly("crash: TypeError: x")).toBe("TypeError: x");
});

test("a difference says what came, went and changed, and the way to it", () => {
  const diff = diffOf(
    { a: 1, b: { c: [1, 2], d: null }, e: "x" },
    { a: 1, b: { c: [1, 3], d: null }, f: 2 },
  );
  expect(diff.change).toBe("holds");
  const inside = new Map(diff.inside);
  expect([...inside].map(([name, { change }]) => [name, change])).toEqual([
    ["a", "same"],
    ["b", "holds"],
    ["f", "added"],
    ["e", "removed"],
  ]);
  expect(changesIn(diff)).toBe(3);
  expect(changesIn(diffOf({ a: [] }, { a: [] }))).toBe(0);
  expect(diffOf([1], { 0: 1 }).change).toBe("changed");
});

const entry = (seq: number, at_ms = seq): Entry => ({
  ...{ seq, at_ms, waited_ms: 0, took_ms: 0, kind: "tick", from: null, ask: false },
  ...{ message: {}, before: {}, after: {} },
});
const told = (entries: readonly Entry[], dropped = 0) =>
  ({ topic: "actor", id: "a/b", entries, dropped }) as const;

test("history keeps each message once, the newest ones, and counts what was lost", () => {
  let history = extended(noHistory, told([entry(1), entry(2)], 3));
  history = extended(history, told([entry(2), entry(3)]));
  expect(history.entries.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(history.dropped).toBe(3);
  const many = Array.from({ length: HISTORY_MAX + 9 }, (_, i) => entry(i + 4));
  history = extended(history, told(many));
  expect(history.entries).toHaveLength(HISTORY_MAX);
  expect(history.entries.at(-1)?.seq).toBe(HISTORY_MAX + 12);
});

test("an actor that was started again has a new history", () => {
  const first = extended(noHistory, told([entry(7), entry(8)]));
  const second = extended(first, told([entry(1, 100), entry(2, 101)]));
  expect(second.entries.map(({ at_ms }) => at_ms)).toEqual([100, 101]);
});

const node = (more: Partial<TreeRow>): TreeRow => ({
  ...{ id: "root/cluster/x", path: "/cluster/x", kind: "actor", role: "x", pid: 1 },
  ...{ state: "running", restarts: 0, mailbox: 0, handled: 0, children: [] },
  ...more,
});
const verbs = (more: Partial<TreeRow>) => actionsFor(node(more)).map(({ verb }) => verb);

test("what can be done depends on what it is done to", () => {
  expect(verbs({})).toEqual(["Restart", "Suspend", "Stop", "Kill"]);
  expect(verbs({ state: "suspended" })).toContain("Resume");
  expect(verbs({ kind: "supervisor" })).toEqual(["Restart", "Stop", "Kill"]);
  const path = "/cluster/workers/decode-0/process";
  const worker = { id: `root${path}`, path, kind: "process", role: "decode" } as const;
  expect(verbs(worker)).toEqual([
    ...["Drain", "Restart", "Become aggregated", "Become prefill", "Freeze", "kill -9"],
    "Remove worker",
  ]);
  const plans = actionsFor(node(worker));
  const freeze = plans.find(({ verb }) => verb === "Freeze");
  expect(freeze?.path).toBe(`/api/actors/${encodeURIComponent(`root${path}`)}/fault`);
  expect(freeze?.body?.({ value: 5, chosen: {} })).toEqual({ fault: "freeze", seconds: 5 });
  const removal = plans.find(({ verb }) => verb === "Remove worker");
  expect([removal?.method, removal?.path]).toEqual(["DELETE", "/api/workers/decode-0"]);
  for (const { says } of plans) expect(says.length).toBeGreaterThan(0);
});

test("figures are short and have their unit", () => {
  const plain = (text: string) => text.replaceAll("\u202f", " ");
  const cases = [0.0004, 0.25, 12.34, 999, 59_000, 125_000, 7_300_000];
  expect(cases.map((value) => plain(duration(value)))).toEqual([
    ...["0", "250 µs", "12.3 ms", "999 ms", "59 s", "2 min 5 s", "2 h 1 min"],
  ]);
  expect([0, 1023, 1024 * 1536, 80 * 1024 ** 3].map((n) => plain(bytes(n)))).toEqual([
    ...["0 B", "1023 B", "1.50 MiB", "80 GiB"],
  ]);
  expect([0, 0.001, 1.234, 250_000].map((n) => plain(rate(n)))).toEqual([
    "0",
    "<0.01",
    "1.2",
    "250 k",
  ]);
  expect([nameOf("/a/b"), nameOf("n/a"), nameOf("/")]).toEqual(["b", "a", "/"]);
});

test("the page is one file that names the hash of all that runs in it, and is made once", async () => {
  let made = 0;
  const script = 'const x = "</script><!-- &"; // é';
  const page = pageFor(
    async () => {
      made += 1;
      return { script, style: "a > b {}" };
    },
    { mode: "chat", inspector: "http://h/</script>" },
  );
  expect(page(new Headers({ accept: "application/json" }))).toBeUndefined();
  expect(page(new Headers())).toBeUndefined();
  expect(made).toBe(0);
  const answer = await page(new Headers({ accept: "text/html,*/*" }));
  const html = (await answer?.text()) ?? "";
  const policy = answer?.headers.get("content-security-policy") ?? "";
  const [, run = ""] = /<script type="module">([\s\S]*?)<\/script>/.exec(html) ?? [];
  const hash = (text: string) => createHash("sha256").update(text).digest("base64");
  expect(policy).toContain(`script-src 'sha256-${hash(run)}'`);
  expect(policy).toContain(`style-src 'sha256-${hash("a > b {}")}'`);
  expect(policy).toContain("default-src 'none'");
  expect(run.replaceAll("\\", "")).toBe(script);
  const [, config = ""] = /id="troupe">(.*?)<\/script>/.exec(html) ?? [];
  expect(JSON.parse(config)).toEqual({ mode: "chat", inspector: "http://h/</script>" });
  const zipped = await page(new Headers({ accept: "text/html", "accept-encoding": "br, gzip" }));
  expect(zipped?.headers.get("content-encoding")).toBe("gzip");
  const bytesOf = new Uint8Array((await zipped?.arrayBuffer()) ?? new ArrayBuffer(0));
  expect(new TextDecoder().decode(Bun.gunzipSync(bytesOf))).toBe(html);
  expect(made).toBe(1);
});
