/** --planner and its limits: what there is, and what is refused in one line. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plannerConfig } from "../../../actors/planner/planner-config.ts";
import { readSettings } from "../../../cluster/settings/read-settings.ts";
import type { Settings } from "../../../cluster/settings/settings.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";
import { readText } from "../../../runtime/real/read-text.ts";

const planes = ["--nats=nats://n:4222", "--redis=redis://r:6379"];

const FILE = "ttft_ms: 300\nmode: agg\n";

function settingsOf(
  args: readonly string[],
  env: Record<string, string> = {},
  read: (path: string, max_bytes?: number) => string = () => FILE,
): Settings {
  const command = readSettings(args, env, "test", read);
  if (command.kind !== "run") throw new Error("it prints");
  return command.settings;
}

test("without --planner there is none", () => {
  expect(settingsOf([]).planner).toBeUndefined();
});

test("flags, their environment twins and the file come together", () => {
  const flags = ["--planner=sla", "--ttft-ms=200", "--planner-config=plan.yaml"];
  const { planner } = settingsOf(flags, { TROUPE_MAX_WORKERS: "6", TROUPE_PLANNER_ADVISORY: "1" });
  expect(planner).toEqual({
    ...{ planner: "sla", ttft_ms: 200, itl_ms: 50, min_workers: 1, max_workers: 6 },
    ...{ advisory: true, config: "plan.yaml", config_text: FILE },
    ...{ prometheus_port: 0, prometheus_host: "127.0.0.1", min_endpoints_port: 0 },
    given: ["planner", "ttft-ms", "max-workers", "planner-config", "planner-advisory"],
  });
});

test("a machine that only plans has no workers and no frontends", () => {
  const settings = settingsOf([...planes, "--role=planner", "--planner=load"]);
  expect([settings.role, settings.planner?.planner]).toEqual(["planner", "load"]);
});

const refused: readonly (readonly [args: readonly string[], line: string])[] = [
  [["--planner=fast"], "--planner is one of throughput, latency, load, sla, not"],
  [["--ttft-ms=200"], "--ttft-ms is for a planner: give --planner sla too"],
  [["--max-workers=3"], "--max-workers is for a planner"],
  [["--planner-advisory"], "--planner-advisory is for a planner"],
  [["--planner=sla", "--min-workers=4", "--max-workers=2"], "--min-workers 4 is above"],
  [[...planes, "--role=planner"], "--role planner needs --planner with its goal"],
  [[...planes, "--role=worker", "--planner=sla"], "--planner does nothing on a machine with"],
  [["--role=planner", "--planner=sla"], "--role planner joins a cluster"],
  [
    ["--planner=sla", "--planner-prometheus-port=8000"],
    "--port and --planner-prometheus-port both name port 8000: give one of them another",
  ],
  [
    ["--planner=sla", "--inspector-port=9086", "--planner-min-endpoints-port=9086"],
    "--inspector-port and --planner-min-endpoints-port both name port 9086",
  ],
  [
    ["--planner=sla", "--planner-prometheus-port=9085", "--planner-min-endpoints-port=9085"],
    "--planner-prometheus-port and --planner-min-endpoints-port both name port 9085",
  ],
  [
    [...planes, "--role=planner", "--planner=sla", "--planner-prometheus-host=localhost"].concat([
      ...["--planner-prometheus-port=9085", "--planner-min-endpoints-port=9085"],
    ]),
    "both name port 9085",
  ],
  [["--kserve-grpc-port=8000"], "--port and --kserve-grpc-port both name port 8000"],
];

test.each(refused)("%j is refused", (args, line) => {
  expect(() => settingsOf(args)).toThrow(line);
});

test("doors on other addresses, and those of another machine, may have one port", () => {
  const doors = ["--planner-prometheus-port=9085", "--planner-min-endpoints-port=9085"];
  settingsOf(["--planner=sla", ...doors, "--planner-prometheus-host=127.0.0.2"]);
  settingsOf([...planes, "--role=planner", "--planner=sla", "--planner-prometheus-port=8000"]);
});

test("one limit that is given is compared with what the file says of the other", () => {
  const merged = (flag: string, file: string) => {
    const args = ["--planner=sla", "--planner-config=plan.yaml", flag];
    const { planner } = settingsOf(args, {}, () => file);
    if (planner === undefined) throw new Error("there is no planner");
    const { min_endpoint, max_workers } = plannerConfig(planner, false).config;
    return [min_endpoint, max_workers];
  };
  expect(merged("--min-workers=10", "max_workers: 20")).toEqual([10, 20]);
  expect(merged("--max-workers=5", "min_endpoint: 4")).toEqual([4, 5]);
  const line =
    "max_workers (8) is below the least number of workers (10): raise it (--max-workers)";
  expect(() => merged("--min-workers=10", "mode: agg")).toThrow(line);
  expect(() => merged("--max-workers=5", "min_endpoint: 6")).toThrow("max_workers (5) is below");
});

const folder = mkdtempSync(join(tmpdir(), "troupe-plan-"));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, "folder"));
writeFileSync(join(folder, "long"), `# ${"x".repeat(64 << 10)}\n`);
writeFileSync(join(folder, "bytes"), Uint8Array.of(0xff, 0xfe));
Bun.spawnSync(["mkfifo", join(folder, "fifo")]);

test.each([
  [join(folder, "missing"), "there is no readable file"],
  [join(folder, "folder"), "is no regular file: give one"],
  [join(folder, "fifo"), "is no regular file: give one"],
  ["/dev/zero", "is no regular file: give one"],
  [join(folder, "long"), "has more than 64 KiB: give a shorter file"],
  [join(folder, "bytes"), "is not UTF-8"],
])("--planner-config %s is refused in one line", (path, line) => {
  const read = () => settingsOf([`--planner-config=${path}`], {}, readText);
  expect(read).toThrow(SettingsError);
  expect(read).toThrow(line);
  expect(read).toThrow(/^--planner-config[: ][^\n]*$/);
  expect(read).toThrow(path);
});
