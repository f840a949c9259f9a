/** Curves: read from folders, refused where they say nothing, and where regression starts. */
import { expect, test } from "bun:test";
import { type Curves, regressionsOf } from "../../../../actors/planner/model/curves.ts";
import { readCurves } from "../../../../actors/planner/model/read-curves.ts";
import { regressionModel } from "../../../../actors/planner/model/regression.ts";
import { ProfileError } from "../../../../llm/profile/profile-arrays.ts";
import { writeNpz } from "../../../bench/profile/write-npz.ts";

const PREFILL = {
  prefill_isl: [100, 1_100],
  prefill_ttft: [10, 60],
  prefill_thpt_per_gpu: [10_000, 18_333],
};
const DECODE = {
  x_kv_usage: [0.1, 0.5],
  y_context_length: [1_000, 1_000],
  z_itl: [5, 9],
  z_thpt_per_gpu: [200, 555],
  max_kv_tokens: 10_000,
};
const CURVES: Curves = {
  prefill: [
    { isl: 100, ttft_ms: 10, thpt_per_gpu: 10_000 },
    { isl: 1_100, ttft_ms: 60, thpt_per_gpu: 18_333 },
  ],
  decode: [
    { kv_usage: 0.1, context_length: 1_000, itl_ms: 5, thpt_per_gpu: 200 },
    { kv_usage: 0.5, context_length: 1_000, itl_ms: 9, thpt_per_gpu: 555 },
  ],
  max_kv_tokens: 10_000,
};

function filesOf(content: Readonly<Record<string, Uint8Array | object>>) {
  const bytesOf = (path: string) => {
    const found = content[path];
    if (found === undefined || found instanceof Uint8Array) return found;
    return new TextEncoder().encode(JSON.stringify(found));
  };
  return {
    size_bytes: async (path: string) => bytesOf(path)?.length,
    read: async (path: string) => bytesOf(path)!,
  };
}
const json = (prefill: object, decode: object) =>
  filesOf({ "run/prefill_raw_data.json": prefill, "run/decode_raw_data.json": decode });

test("JSON and npz folders say the same", async () => {
  const npz = filesOf({
    "run/selected_prefill_interpolation/raw_data.npz": writeNpz(PREFILL),
    "run/selected_decode_interpolation/raw_data.npz": writeNpz({
      ...DECODE,
      max_kv_tokens: [10_000],
    }),
  });
  expect(await readCurves(json(PREFILL, DECODE), "run")).toEqual(CURVES);
  expect(await readCurves(npz, "run")).toEqual(CURVES);
  expect(await readCurves(npz, "")).toBeUndefined();
});

test.each([
  [filesOf({}), "neither prefill_raw_data.json"],
  [json({ ...PREFILL, prefill_ttft: [1] }, DECODE), "prefill_ttft has 1 values"],
  [json({ ...PREFILL, prefill_thpt_per_gpu: undefined }, DECODE), "prefill_thpt_per_gpu"],
  [json(PREFILL, { ...DECODE, z_itl: [1, -1] }), "0 or more"],
  [json(PREFILL, { ...DECODE, max_kv_tokens: 0 }), "max_kv_tokens"],
])("a bad folder is refused in one line that names it %#", async (files, why) => {
  const error = await readCurves(files, "run").then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ProfileError);
  expect((error as ProfileError).message).toStartWith("run: ");
  expect((error as ProfileError).message).toContain(why);
});

test("the regression starts from the measured points", () => {
  const regressions = regressionsOf(CURVES, ["prefill", "decode", "aggregated"]);
  const ms = (role: "prefill" | "decode", part: object) =>
    regressionModel(regressions[role], role, 2)?.passMs({
      prefill_tokens: 0,
      requests: 0,
      kv_tokens: 0,
      ...part,
    });
  expect(ms("prefill", { prefill_tokens: 600 })).toBeCloseTo(35, 9);
  // 1,000 and 5,000 KV tokens of contexts of 1,000.
  expect(ms("decode", { requests: 3, kv_tokens: 3_000 })).toBeCloseTo(7, 9);
  expect(regressions.aggregated?.samples.length).toBe(4);
  expect(regressionsOf(undefined, ["prefill"])).toEqual({});
});
