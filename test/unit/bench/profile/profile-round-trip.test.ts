/** What the profiler writes of an engine makes the simulated engine cost the same. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readProfile } from "../../../../actors/engine/mocker/profile.ts";
import { polynomialTiming, profileTiming } from "../../../../actors/engine/mocker/timing.ts";
import { regressionsOf } from "../../../../actors/planner/model/curves.ts";
import { readCurves } from "../../../../actors/planner/model/read-curves.ts";
import { realFiles } from "../../../../runtime/real/files.ts";
import { curvesOf, type DecodeCurve } from "../../../bench/profile/curves.ts";
import { noNotes } from "../../../bench/profile/engine.ts";
import { writeProfile } from "../../../bench/profile/profile-folder.ts";
import {
  decodePoints,
  prefillLengths,
  type SweepLimits,
} from "../../../bench/profile/sweep-plan.ts";

const limits: SweepLimits = {
  context: 8192,
  max_kv_tokens: 262_144,
  block_size: 64,
  max_concurrency: 256,
  osl: 64,
};

const drawing = (sequences: number, context_tokens: number) => ({
  sequences,
  context_tokens,
  used_kv_tokens: context_tokens,
  total_kv_tokens: limits.max_kv_tokens,
});

/**
 * What a sweep of an engine with Dynamo's polynomials would measure on a silent machine, where a
 * pass makes so many tokens for one answer.
 */
function measured(prefill_points: number, decode_points: number, accept_length = 1) {
  const prefill = prefillLengths(limits, prefill_points).map((isl) => ({
    isl,
    ttft_ms: polynomialTiming.prefillMs(isl) + polynomialTiming.decodeMs(drawing(1, isl)),
    cached_tokens: 0,
  }));
  const decode = decodePoints(limits, decode_points).map(({ isl, in_flight }) => ({
    isl,
    in_flight,
    context_tokens: isl + limits.osl / 2,
    itl_ms:
      polynomialTiming.decodeMs(drawing(in_flight, in_flight * (isl + limits.osl / 2))) /
      accept_length,
    ...(accept_length === 1 ? {} : { accept_length }),
  }));
  return curvesOf(prefill, decode, limits.max_kv_tokens, limits.osl, 1);
}

/** Of the longest contexts that are not longer than this: beyond it nothing was measured. */
function highestShare({ x_kv_usage, y_context_length }: DecodeCurve, context: number): number {
  const nearest = Math.max(...y_context_length.filter((length) => length <= context));
  return Math.max(...x_kv_usage.filter((_, i) => y_context_length[i] === nearest));
}

test.each([1, 2.5])(
  "passes of a mocker with the profile of a mocker cost what that one's cost, within 3 %%: %d tokens each",
  async (made) => {
    const folder = mkdtempSync(join(tmpdir(), "profile-"));
    try {
      const curves = measured(16, 6, made);
      await writeProfile(folder, curves, noNotes);
      // The planner's own reader has the same points.
      const read = await readCurves(realFiles(), folder);
      expect(read?.prefill.map(({ ttft_ms }) => ttft_ms)).toEqual([...curves.prefill.prefill_ttft]);
      expect(read?.decode.map(({ itl_ms }) => itl_ms)).toEqual([...curves.decode.z_itl]);
      const passes = regressionsOf(read, ["decode"]).decode!;
      const longest = Math.max(...passes.samples.map(({ ms }) => ms));
      expect(longest).toBeCloseTo(made * Math.max(...curves.decode.z_itl), 6);
      const timing = profileTiming(await readProfile(realFiles(), folder));
      const ratios: number[] = [];
      for (const tokens of [100, 150, 333, 1000, 2222, 4096, 7800]) {
        ratios.push(timing.prefillMs(tokens) / polynomialTiming.prefillMs(tokens));
      }
      for (const context of [150, 600, 1500, 3000, 7800]) {
        for (const share of [0.02, 0.1, 0.3, 0.5, 0.8]) {
          const kv_tokens = share * limits.max_kv_tokens;
          const load = drawing(kv_tokens / context, kv_tokens);
          if (load.sequences < 1 || share > highestShare(curves.decode, context)) continue;
          ratios.push(timing.decodeMs(load) / polynomialTiming.decodeMs(load));
        }
      }
      expect(ratios.length).toBeGreaterThan(15);
      expect(Math.max(...ratios)).toBeLessThan(1.03);
      expect(Math.min(...ratios)).toBeGreaterThan(0.97);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
