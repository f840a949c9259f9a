/** native/sampler/sampler.c, built alone by Bun's compiler and by the system's when there is one. */
import { cc, dlopen, ptr } from "bun:ffi";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sampling } from "../../../actors/engine/engine.ts";
import type { History } from "./sampler-reference.ts";

const SOURCE = join(import.meta.dir, "../../../native/sampler/sampler.c");

/**
 * Numbers are passed with `| 0`, u32 as i32 of the same bits: the calls that Bun's `cc` makes read
 * the low half of an integer that JavaScript happens to hold as a double (`dlopen` converts it).
 */
const SYMBOLS = {
  troupe_sampler_scratch_new: { args: ["i32"], returns: "ptr" },
  troupe_sampler_scratch_free: { args: ["ptr"], returns: "void" },
  troupe_sampler_new: { args: ["i32"], returns: "ptr" },
  troupe_sampler_free: { args: ["ptr"], returns: "void" },
  troupe_sampler_begin: { args: ["ptr", "ptr", "ptr", "i32", "i32"], returns: "i32" },
  troupe_sampler_accept: { args: ["ptr", "i32"], returns: "void" },
  troupe_sampler_sample: {
    args: ["ptr", "ptr", "ptr", "i32", "i32", "ptr", "i32"],
    returns: "i32",
  },
  troupe_sampler_argmax: { args: ["ptr", "i32"], returns: "i32" },
  troupe_sampler_logprobs: {
    args: ["ptr", "i32", "i32", "i32", "ptr", "ptr", "ptr"],
    returns: "i32",
  },
  troupe_sampler_uniform: { args: ["u64", "i32", "i32"], returns: "f64" },
} as const;

export type SamplerLibrary = { readonly compiler: string; readonly c: SamplerCalls };
export type SamplerCalls = ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];

export function samplerLibraries(): readonly SamplerLibrary[] {
  const own = cc({ source: SOURCE, symbols: SYMBOLS });
  const libraries: SamplerLibrary[] = [{ compiler: "bun", c: own.symbols }];
  const system = Bun.which("cc");
  if (!system) return libraries;
  const path = join(mkdtempSync(join(tmpdir(), "troupe-sampler-")), "sampler.so");
  const built = Bun.spawnSync([system, "-O3", "-shared", "-fPIC", "-o", path, SOURCE, "-lm"]);
  if (built.exitCode !== 0) throw new Error(`cc failed: ${built.stderr}`);
  return [...libraries, { compiler: "cc", c: dlopen(path, SYMBOLS).symbols }];
}

/** A copy with room for one, as a pointer to an empty array is refused. */
const ints = (values: readonly number[]) => Int32Array.from(values.length > 0 ? values : [0]);

/** struct troupe_sampling, with the arrays it points to (they must outlive its use). */
function paramsBytes(sampling: Sampling): { bytes: Uint8Array; keep: readonly ArrayBufferView[] } {
  const tokens = ints(sampling.logit_bias.map(([token]) => token));
  const values = Float32Array.from([...sampling.logit_bias.map(([, bias]) => bias), 0]);
  const view = new DataView(new ArrayBuffer(64));
  view.setFloat32(0, sampling.temperature, true);
  view.setInt32(4, sampling.top_k, true);
  view.setFloat32(8, sampling.top_p, true);
  view.setFloat32(12, sampling.min_p, true);
  view.setFloat32(16, sampling.typical_p, true);
  view.setFloat32(20, sampling.repetition_penalty, true);
  view.setFloat32(24, sampling.frequency_penalty, true);
  view.setFloat32(28, sampling.presence_penalty, true);
  view.setBigUint64(32, sampling.seed, true);
  view.setInt32(40, sampling.logit_bias.length, true);
  view.setBigUint64(48, BigInt(ptr(tokens)), true);
  view.setBigUint64(56, BigInt(ptr(values)), true);
  return { bytes: new Uint8Array(view.buffer), keep: [tokens, values] };
}

/** One slot and its scratch, as the batch loop holds them. */
export class Slot {
  readonly #c: SamplerCalls;
  readonly #sampler: ReturnType<SamplerCalls["troupe_sampler_new"]>;
  readonly #scratch: ReturnType<SamplerCalls["troupe_sampler_scratch_new"]>;

  constructor(c: SamplerCalls, n_vocab: number) {
    this.#c = c;
    this.#sampler = c.troupe_sampler_new(n_vocab | 0);
    this.#scratch = c.troupe_sampler_scratch_new(n_vocab | 0);
    if (!this.#sampler || !this.#scratch) throw new Error("no memory for a sampler");
  }

  begin(sampling: Sampling, history: History): number {
    const { bytes, keep } = paramsBytes(sampling);
    const tokens = ints([...history.prompt, ...history.answer]);
    const n = history.prompt.length + history.answer.length;
    const code = this.#c.troupe_sampler_begin(
      this.#sampler,
      bytes,
      tokens,
      n | 0,
      history.prompt.length | 0,
    );
    keep.at(0);
    return code;
  }

  accept(token: number): void {
    this.#c.troupe_sampler_accept(this.#sampler, token | 0);
  }

  sample(logits: Float32Array, choice: number, index: number, banned: readonly number[]): number {
    return this.#c.troupe_sampler_sample(
      this.#sampler,
      this.#scratch,
      logits,
      choice | 0,
      index | 0,
      ints(banned),
      banned.length | 0,
    );
  }

  free(): void {
    this.#c.troupe_sampler_free(this.#sampler);
    this.#c.troupe_sampler_scratch_free(this.#scratch);
  }
}

export type Logprobs = {
  readonly logprob: number;
  readonly top: readonly (readonly [number, number])[];
};

export function logprobsOf(
  c: SamplerCalls,
  logits: Float32Array,
  token: number,
  top_n: number,
): Logprobs {
  const chosen = new Float32Array(1);
  const ids = new Int32Array(top_n + 1);
  const values = new Float32Array(top_n + 1);
  const n = c.troupe_sampler_logprobs(logits, logits.length, token, top_n, chosen, ids, values);
  const top = Array.from({ length: n }, (_, i) => [ids[i]!, values[i]!] as const);
  return { logprob: chosen[0]!, top };
}

export function uniformOf(c: SamplerCalls, seed: bigint, choice: number, index: number): number {
  return c.troupe_sampler_uniform(seed, choice | 0, index | 0);
}
