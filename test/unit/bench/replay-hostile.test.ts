/** `bun run replay` and its kin with what nobody should give them: one line that says what to do. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { LoadTraceError, loadsOf } from "../../../actors/planner/predict/interval-load.ts";
import { profileOptions } from "../../bench/profile/options.ts";
import { replayed } from "../../bench/replay/command/replay-command.ts";

const folder = mkdtempSync(join(tmpdir(), "hostile-"));
afterAll(() => rmSync(folder, { recursive: true }));

const row = (over: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    ...{ timestamp: 0, input_length: 600, output_length: 3, hash_ids: [1, 2] },
    ...over,
  });
const file = (name: string, ...content: readonly (string | Uint8Array)[]): string => {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(content.map((each) => Buffer.from(each))));
  return path;
};
const ok = file("ok.jsonl", row(), "\n", row({ timestamp: 1_000 }), "\n");
const far = file("far", row(), "\n", row({ timestamp: 1e13 }));
const huge = file("huge", row(), "\n", row({ timestamp: 1e300 }));

async function saidOf(args: readonly string[]): Promise<string> {
  const error: unknown = await replayed(args).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  const { message } = error as Error;
  expect(message).not.toContain("\n");
  return message.replaceAll(`${folder}/`, "");
}

test.each([
  ["empty", [file("empty", "")], "empty line 1: the trace has no requests; docs/routing.md says"],
  ["random bytes", [file("bytes", "{\u001b[2J")], "bytes line 1: not JSON"],
  ["NUL bytes", [file("nul", row(), "\0\0")], "nul is no UTF-8 text: give the path of a trace"],
  ["gzip", [file("gz", gzipSync(row()))], "gz is packed by gzip: unpack it first (gunzip -k gz)"],
  ["a device", ["/dev/zero"], "/dev/zero is a device, which has no end"],
  [
    "a line of the second file",
    [ok, file("two", row(), "\n", row({ hash_ids: 3 }))],
    "two line 2: ",
  ],
  [
    "the file before a last line feed",
    [ok, file("cut", row().slice(0, 30))],
    "cut line 1: not JSON",
  ],
  [
    "no time",
    [file("untimed", row({ timestamp: undefined }))],
    "untimed line 1: timestamp is missing",
  ],
  [
    "time before zero",
    [file("past", row({ timestamp: -5 }))],
    "must be a number from 0 on, not -5",
  ],
  [
    "half a token",
    [file("half", row({ output_length: 0.5 }))],
    "output_length must be a whole number",
  ],
  ["centuries under a planner", [far, "--planner", "sla"], "its times are in milliseconds"],
  ["all time under a planner", [huge, "--planner", "sla"], "its times are in milliseconds"],
  ["no trace", [], "which trace? Give its path, or synthetic:requests=4000"],
  ["an unknown flag", [ok, "--nope"], "Unknown option '--nope'; bun run replay --help lists"],
  ["a flag as a value", [ok, "--workers", "-1"], "bun run replay --help lists the flags"],
  [
    "a billion workers",
    [ok, "--workers", "1e9"],
    "--workers must be a whole number from 1 to 4096",
  ],
  ["half a client", [ok, "--concurrency", "0.5"], "--concurrency must be a whole number from 0"],
  ["two counts", [ok, "--prefill", "1", "--decode", "1", "--workers", "4"], "no --workers"],
  ["a start without a planner", [ok, "--startup-seconds", "3"], "is for a planner: give --planner"],
  ["a start of ages", [ok, "--planner", "sla", "--startup-seconds", "1e300"], "from 0 to 86400"],
  ["a page without a folder", [ok, "--html", "/no/such/x.html"], "cannot be written (ENOENT)"],
  ["a folder as a page", [ok, "--requests", folder], "cannot be written (EISDIR)"],
  ["a trillion requests", ["synthetic:requests=1e12"], "requests must be a number from 0 to"],
  ["prompts beyond memory", ["synthetic:isl=1e7,requests=1e5,rate=1"], "make fewer requests"],
  ["draws without end", ["synthetic:shape=burst,factor=1e9"], "lower the rate, or its time"],
] as const)("replay: %s", async (_, args, said) => {
  expect(await saidOf(args)).toContain(said);
});

test("replay: what only looks odd is read", async () => {
  const named = file("synthetic.jsonl", row());
  const late = row({ timestamp: 5_000 });
  const traces = [
    [file("crlf", row(), "\r\n", late, "\r\n"), 2],
    [file("unsorted", late, "\n", row()), 2],
    [file("unfinished", row()), 1],
    // Files whose names begin as a made-up trace does.
    [named, 1],
    // It fits into no worker, and is refused.
    [file("endless", row({ output_length: 1e9 })), 1],
  ] as const;
  for (const [path, requests] of traces) {
    const { out } = await replayed([path, "--json"]);
    const report = JSON.parse(out);
    expect([path, report.requests + report.refused]).toEqual([path, requests]);
  }
  expect((await replayed([far, "--json"])).out).toContain('"requests":2');
});

test("a file that can be written is not left behind where the replay comes to nothing", async () => {
  const html = join(folder, "page.html");
  await saidOf([file("none", ""), "--html", html]);
  expect(existsSync(html)).toBe(false);
  await replayed([ok, "--html", html]);
  expect(existsSync(html)).toBe(true);
});

test("profile: flags that say nothing together, and bad traces", () => {
  mkdirSync(join(folder, "curves"), { recursive: true });
  const cases = [
    [["--from", folder, "--out", "x"], "leave out --out"],
    [["--from", folder, "--", "--num-blocks", "3"], "leave out what follows --"],
    [["--from", folder, "--rate", "1", "--trace", file("gone.gz", gzipSync(row()))], "gunzip -k"],
    [["--from", folder, "--rate", "1", "--trace", join(folder, "no")], "give --trace the path"],
    [["--from", folder, "--rate", "1", "--trace", folder], "cannot be read (EISDIR)"],
    [["--time-limit", "-1"], "bun run profile --help lists the flags"],
  ] as const;
  for (const [args, said] of cases) {
    let message = "";
    try {
      profileOptions(args, {});
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message).toContain(said);
    expect(message).not.toContain("\n");
  }
});

test("a warm-up trace over centuries is refused before its intervals are made", () => {
  const at = (arrival_ms: number) => ({ arrival_ms, input_length: 1, output_length: 1 });
  expect(() => loadsOf([at(0), at(1e13)], 180_000)).toThrow(LoadTraceError);
  expect(loadsOf([at(0), at(360_000)], 180_000)).toHaveLength(2);
});
