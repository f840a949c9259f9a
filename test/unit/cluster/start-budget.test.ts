/** A large model on a slow disk gets the time that reading it takes. */
import { expect, test } from "bun:test";
import type { CheckedModel } from "../../../actors/model/model.ts";
import {
  canaryBudget_ms,
  readyBudget_ms,
  startTimes,
  weightBytes,
} from "../../../cluster/start-budget.ts";

const GB = 1e9;
const minutes = (ms: number) => ms / 60_000;

function file(size_bytes: number, parts?: number): CheckedModel {
  const metadata = new Map(parts === undefined ? [] : [["split.count", parts] as const]);
  const rest = { version: 3, tensors: [], data_offset: 0, min_file_bytes: 0 };
  return { kind: "file", path: "/m.gguf", size_bytes, header: { ...rest, metadata } };
}

test("100 GB from a disk of 50 MB a second, twice, fit; a small model's hang is told in minutes", () => {
  const reading_minutes = (100 * GB) / (50 * 1e6) / 60;
  expect(minutes(readyBudget_ms(100 * GB))).toBeGreaterThan(2 * reading_minutes + 10);
  expect(minutes(canaryBudget_ms(100 * GB))).toBeGreaterThan(reading_minutes);
  expect(minutes(readyBudget_ms(0.3 * GB))).toBeLessThan(11);
  expect(minutes(canaryBudget_ms(0.3 * GB))).toBeLessThan(1.5);
});

test("a model in several files counts all of them", () => {
  expect(weightBytes(file(50 * GB, 9))).toBe(450 * GB);
  expect(weightBytes(file(50 * GB))).toBe(50 * GB);
  expect(weightBytes({ kind: "folder", path: "/f", files: [] } as unknown as CheckedModel)).toBe(0);
});

test("a worker that is ready says what its start took, once", () => {
  let now_ms = 0;
  const heard = startTimes("worker-3", 1.2 * GB, () => now_ms);
  const at = (ms: number, stage: Parameters<typeof heard>[0]) => {
    now_ms = ms;
    return heard(stage);
  };
  expect(at(300, "load")).toBeUndefined();
  expect(at(900, "load")).toBeUndefined();
  expect(at(1_300, "canary")).toBeUndefined();
  expect(at(1_420, "register")).toBeUndefined();
  expect(at(1_500, "ready")).toBe(
    "worker-3 is ready 1.50 s after its process began: 1.2 GB of weights in 1.00 s, " +
      "first tokens in 0.12 s",
  );
});
