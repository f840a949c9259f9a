/** Names and CPUs of workers that come while the cluster runs. */
import { expect, test } from "bun:test";
import type { WorkerBoot } from "../../../cluster/boot.ts";
import { addedChild } from "../../../cluster/child-boots.ts";
import { byName, freestCpus, WorkerNumbers } from "../../../cluster/fleet/worker-names.ts";
import { parseFlags } from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";

test("numbers go on behind the highest, by kind, and none comes twice", () => {
  const numbers = new WorkerNumbers(["prefill-0", "decode-0", "decode-11", "decode-2"]);
  const roles = ["decode", "prefill", "decode", "aggregated", "prefill", "aggregated"] as const;
  expect(roles.map((role) => numbers.take(role))).toEqual([
    ...["decode-12", "prefill-1", "decode-13", "worker-0", "prefill-2", "worker-1"],
  ]);
});

test("names are in the order of their numbers", () => {
  const names = ["worker-10", "m.worker-1", "worker-9", "decode-3", "worker-2"];
  expect(names.toSorted(byName)).toEqual([
    ...["decode-3", "m.worker-1", "worker-2", "worker-9", "worker-10"],
  ]);
});

test("a worker that comes later gets the CPUs that the fewest have", () => {
  const ranges = [0, 2, 4].map((first) => ({ first, last: first + 1 }));
  const [a, b, c] = ranges;
  expect(freestCpus([], [undefined])).toBeUndefined();
  expect(freestCpus(ranges, [])).toEqual(a!);
  expect(freestCpus(ranges, [a, b])).toEqual(c!);
  expect(freestCpus(ranges, [a, b, c, a, c])).toEqual(b!);
  expect(freestCpus(ranges, [{ first: 0, last: 1 }, undefined])).toEqual(b!);
});

test("its boot record is that of the others, with its own name, marks and CPUs", () => {
  const flags = ["--workers", "2", "--worker-label", "fast", "--worker-taint", "worker-1:gpu"];
  const source = {
    settings: settle([parseFlags([...flags, "--cpus", "0"])], []),
    machine: { root: "root", prefix: "" },
    ...{ registry_address: "a", port: 1, run_folder: "", cache_folder: "", data_folder: "" },
    ...{ assets_folder: "", version: "0", inspector_url: "" },
  };
  const model = { name: "m", path: "/m.gguf", weight_bytes: 7, context_bytes: 0 };
  const worker = { role: "aggregated", names: ["worker-2"], sharers: 3 } as const;
  const child = addedChild(source, model, worker, { first: 4, last: 5 });
  expect(child).toMatchObject({ node: "worker-2", weight_bytes: 7 });
  expect(child.under?.at(-1)).toBe("4-5");
  const { boot }: { boot: WorkerBoot } = child;
  expect(boot).toMatchObject({
    ...{ workers: ["worker-2"], first: false, sharers: 3, model_name: "m" },
    ...{ labels: { "worker-2": ["fast"] }, taints: { "worker-2": [] } },
  });
  expect(boot.engine.common.threads).toBe(2);
});
