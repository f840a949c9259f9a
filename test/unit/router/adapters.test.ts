/** Requests for a LoRA adapter: only to workers that have it. Blocks of adapters and salts. */
import { expect, test } from "bun:test";
import { placeRequestOf } from "../../../actors/router/kv-request.ts";
import { constraintsOf } from "../../../actors/router/policy/constraints.ts";
import { admit } from "../../../actors/router/policy/filter.ts";
import { constraintFilters } from "../../../actors/router/policy/filters.ts";
import { WorkerSet } from "../../../actors/router/worker-set.ts";
import { workerChanges } from "../../../cluster/discovery.ts";
import { blockHashes, blockSeed } from "../../../llm/blocks/block-hash.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import { codecs, type Route, type WorkerRecord } from "../../../proto/index.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";

const prompt = Uint32Array.from({ length: 40 }, (_, i) => i);
const route = (adapter?: string): Route => ({
  ...{ kind: "route", request: "r", model: "m", prompt: bytesOf(prompt), max_tokens: 5 },
  ...{ exclude: [], pin: "", continued: false, spare: false },
  ...(adapter === undefined ? {} : { adapter }),
});

const record = (worker: string, ...adapters: string[]): WorkerRecord => ({
  ...{ worker, role: "aggregated", card: modelCard("m"), labels: [], taints: [] },
  ref: { node: worker, path: "/w", incarnation: new Uint8Array(8), address: "" },
  adapters: { items: adapters.map((name) => ({ name, source: "s" })) },
});

function admitted(workers: WorkerSet, adapter?: string) {
  const request = constraintsOf(route(adapter));
  const all = workers.all();
  const positions = new Int32Array(all.length);
  const found = admit(constraintFilters, { request, workers: all, now_ms: 0 }, positions);
  if (typeof found !== "number") return found.message;
  return [...positions.subarray(0, found)].map((at) => all[at]!.worker);
}

test("only workers that have the adapter may get it, as of their last record", () => {
  const workers = new WorkerSet();
  workers.add(record("w1", "a"));
  workers.add(record("w2", "a", "b"));
  expect(admitted(workers)).toEqual(["w1", "w2"]);
  expect(admitted(workers, "b")).toEqual(["w2"]);
  expect(admitted(workers, "c")).toMatch(/No worker has the adapter/);
  // The same life with another list: nothing else of the worker is forgotten.
  const before = workers.get("w1");
  expect(workers.add(record("w1", "b"))).toBeUndefined();
  expect(workers.get("w1")).toBe(before!);
  expect(admitted(workers, "b")).toEqual(["w1", "w2"]);
  expect(admitted(workers, "a")).toEqual(["w2"]);
});

test("a changed record of the same worker is told, and an equal one is not", () => {
  const entry = (adapters: string[]) => ({
    key: "workers/w1",
    value: codecs.WorkerRecord.encode(record("w1", ...adapters)).finish(),
    owner: record("w1").ref!,
    epoch: 0,
  });
  const entries = (adapters: string[]) => new Map([["workers/w1", entry(adapters)]]);
  expect(workerChanges(entries(["a"]), entries(["a"]))).toEqual([]);
  expect(workerChanges(entries(["a"]), entries(["a", "b"]))).toMatchObject([
    { kind: "up", record: { worker: "w1", adapters: { items: [{ name: "a" }, { name: "b" }] } } },
  ]);
});

test("blocks have the names that engines give them", () => {
  const hashesOf = (adapter?: string) => placeRequestOf(route(adapter), {}, 16).hashes;
  const named = (of: object) => pairsOf(blockHashes(prompt, 16, blockSeed(of)).sequence_hashes);
  expect(hashesOf()).toEqual(named({}));
  expect(hashesOf("a")).toEqual(named({ adapter: "a" }));
  expect(hashesOf("a")).not.toEqual(hashesOf("b"));
  const salted = (of: { adapter?: string; salt: string }) =>
    placeRequestOf({ ...route(), ...of }, {}, 16).hashes;
  for (const of of [{ salt: "a" }, { adapter: "a", salt: "s" }]) {
    expect(salted(of)).toEqual(named(of));
    expect(salted(of)).not.toEqual(hashesOf(of.adapter));
  }
});
