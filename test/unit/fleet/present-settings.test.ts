/** The settings of the cluster as it is now start the same cluster. */
import { expect, test } from "bun:test";
import { type PresentWorker, presentSettings } from "../../../cluster/fleet/present-settings.ts";
import { dumpConfig } from "../../../cluster/settings/dump-config.ts";
import { parseConfig, parseFlags } from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";

const settingsOf = (flags: string) => settle([parseFlags(flags.split(" "))], []);

function workersOf(model: string, ...names: string[]): PresentWorker[] {
  return names.map((worker) => {
    const kind = worker.split("-")[0];
    return { worker, model, role: kind === "worker" ? "aggregated" : (kind as "prefill") };
  });
}

/** What a cluster has that is started with the file. */
function again(flags: string, models: string[], workers: PresentWorker[], weights = {}) {
  const { settings, notes } = presentSettings(settingsOf(flags), models, workers, weights);
  return { read: settle([parseConfig(dumpConfig(settings), "now.yaml")], []), notes, settings };
}

test("more workers, fewer, and none but those of the start", () => {
  const two = workersOf("m", "worker-0", "worker-1");
  const before = settingsOf("--engine mocker --workers 2 --frontends 2");
  const flags = "--engine mocker --workers 2 --frontends 2";
  expect(again(flags, ["m"], two)).toMatchObject({ read: before, notes: [] });
  const five = workersOf("m", "worker-1", "worker-4", "worker-5", "worker-7", "worker-9");
  const { read, notes } = again(flags, ["m"], five);
  expect([read, notes]).toEqual([{ ...before, workers: [{ role: "aggregated", count: 5 }] }, []]);
});

test("roles that were changed are written where settings can say them together", () => {
  const flags = "--engine mocker --prefill 1 --decode 2";
  const pairs = workersOf("m", "prefill-0", "prefill-1", "decode-1");
  expect(again(flags, ["m"], pairs).read.workers).toEqual([
    { role: "prefill", count: 2 },
    { role: "decode", count: 1 },
  ]);
  const mixed = workersOf("m", "prefill-0", "worker-0", "decode-1");
  const { read, notes } = again(flags, ["m"], mixed);
  expect(read.workers.map(({ count }) => count)).toEqual([1, 2]);
  expect(notes).toEqual([
    "workers without a part of their own are written as decode, beside prefill",
  ]);
  const alone = again(flags, ["m"], workersOf("m", "decode-0", "decode-1"));
  expect(alone.read.workers).toEqual([{ role: "aggregated", count: 2 }]);
  expect(alone.notes[0]).toContain("written as workers that do both");
});

test("what numbers of each model cannot say stands in a note", () => {
  const flags = "--engine mocker --workers 2 --model a=/a --model b=/b";
  const workers = [...workersOf("a", "worker-0"), ...workersOf("b", "worker-2", "worker-3")];
  const { read, notes } = again(flags, ["a", "b"], workers);
  expect(read.workers).toEqual([{ role: "aggregated", count: 2 }]);
  expect(notes).toEqual(["worker: a number is of each model, and here they differ: a 1, b 2"]);
  const none = again(flags, ["a", "b"], []);
  expect(none.read.workers).toEqual([{ role: "aggregated", count: 1 }]);
  expect(none.notes[0]).toContain("there is none");
});

test("labels and taints go with their workers, who are numbered anew", () => {
  const marks = "--worker-label all --worker-label worker-2:far --worker-taint worker-0:gone";
  const flags = `--engine mocker --workers 3 ${marks}`;
  const { read } = again(flags, ["m"], workersOf("m", "worker-1", "worker-2"));
  expect(read.worker_labels).toEqual([{ mark: "all" }, { worker: "worker-1", mark: "far" }]);
  expect(read.worker_taints).toEqual([]);
});

test("weights that were set come beside those of the flags", () => {
  const flags = "--engine mocker --router-weight crowd_weight=2 --router-weight fair_share=3";
  const weights = { crowd_weight: 2.5, patience: 0 };
  const { read } = again(flags, ["m"], workersOf("m", "worker-0"), weights);
  expect(read.router.weights).toEqual({ crowd_weight: 2.5, fair_share: 3, patience: 0 });
});

test("a token is not written", () => {
  const { settings } = again("--inspector-token a-secret-token", ["m"], workersOf("m", "worker-0"));
  expect(settings.inspector.token).toBe("a-secret-token");
  expect(dumpConfig(settings)).not.toContain("a-secret-token");
});
