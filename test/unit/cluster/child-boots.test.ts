import { expect, test } from "bun:test";
import type { WorkerBoot } from "../../../cluster/boot.ts";
import { childBoots } from "../../../cluster/child-boots.ts";
import { parseFlags } from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";

const model = (name: string) => ({
  name,
  path: `/${name}.gguf`,
  weight_bytes: 1,
  context_bytes: 0,
});

function bootsOf(flags: readonly string[], models: readonly string[]) {
  const source = {
    settings: settle([parseFlags([...flags])], []),
    machine: { root: "root", prefix: "m." },
    ...{ registry_address: "", port: 1, run_folder: "", cache_folder: "", data_folder: "" },
    ...{ assets_folder: "", version: "0", inspector_url: "" },
  };
  return childBoots(source, models.map(model));
}

test("each role of workers has its names, over all models", () => {
  const flags = ["--prefill", "1", "--decode", "2", "--frontends", "1"];
  const boots = bootsOf([...flags, "--model", "a=1", "--model", "b=2"], ["a", "b"]);
  const workers = boots.map(({ boot }) => boot).filter((boot) => boot.role === "worker");
  const told = workers.map((boot: WorkerBoot) => [
    boot.model_name,
    boot.worker_role,
    boot.workers,
    boot.first,
    boot.sharers,
  ]);
  expect(told).toEqual([
    ["a", "prefill", ["m.prefill-0"], true, 6],
    ["a", "decode", ["m.decode-0"], false, 6],
    ["a", "decode", ["m.decode-1"], false, 6],
    ["b", "prefill", ["m.prefill-1"], true, 6],
    ["b", "decode", ["m.decode-2"], false, 6],
    ["b", "decode", ["m.decode-3"], false, 6],
  ]);
  expect(boots.map(({ node }) => node).at(-1)).toBe("m.frontend-0");
});

test("worker processes run on the CPUs that they were given, in turn", () => {
  const flags = ["--workers", "3", "--cpus", "0", "--cpus", "2-3"];
  const boots = bootsOf(flags, ["a"]).filter(({ boot }) => boot.role === "worker");
  expect(boots.map(({ under }) => under?.at(-1))).toEqual(["0", "2-3", "0"]);
  const threads = boots.map(({ boot }) => (boot as WorkerBoot).engine.common.threads);
  expect(threads).toEqual([1, 2, 1]);
  const said = bootsOf([...flags, "--threads", "4"], ["a"])[0]!.boot as WorkerBoot;
  expect(said.engine.common.threads).toBe(4);
  expect(bootsOf([], ["a"])[0]!.under).toBeUndefined();
});

test.each(["x", "3-1", "0,1", "-1"])("--cpus %s says what it takes", (text) => {
  expect(() => bootsOf(["--cpus", text], ["a"])).toThrow("is not the number of a CPU");
});

test("a machine of prefill workers has a keeper of their blocks, and starts nothing else", () => {
  const planes = ["--nats", "nats://h", "--redis", "redis://h", "--routers", "1"];
  const boots = bootsOf([...planes, "--role", "prefill", "--workers", "2"], ["a"]);
  expect(boots.map(({ node }) => node)).toEqual(["m.kv", "m.prefill-0", "m.prefill-1"]);
});
