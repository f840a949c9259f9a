/** Timing: the polynomials, profiles and the files they come in. */
import { expect, test } from "bun:test";
import { profileOf, readProfile } from "../../../actors/engine/mocker/profile.ts";
import { polynomialTiming, profileTiming } from "../../../actors/engine/mocker/timing.ts";
import { NpzError, readNpz } from "../../../llm/profile/npz.ts";
import { ProfileError } from "../../../llm/profile/profile-arrays.ts";
import { realFiles } from "../../../runtime/real/files.ts";

/**
 * Written by NumPy 2: prefill_isl f8, prefill_ttft_ms f8, decode_active_kv_tokens i8,
 * decode_context_length i4, decode_itl f4 in Fortran order; `savez_compressed`, then `savez`.
 */
const COMPRESSED =
  "UEsDBC0AAAAIAAAAIQCwKMyJ//////////8PABQAcHJlZmlsbF9pc2wubnB5AQAQAJAAAAAAAAAATQAAAAAAAACb7B" +
  "fqGxDJyFDGUK2eklqcXKRupaBuk2ahrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOpo6CrUKFAAuBjCI" +
  "dABTBhMdAFBLAwQtAAAACAAAACEA2BqwqP//////////EwAUAHByZWZpbGxfdHRmdF9tcy5ucHkBABAAkAAAAAAAAA" +
  "BMAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6" +
  "mjoKtQoUAC4GMFBxgNB+DgBQSwMELQAAAAgAAAAhADvUiF3//////////xsAFABkZWNvZGVfYWN0aXZlX2t2X3Rva2" +
  "Vucy5ucHkBABAAmAAAAAAAAABOAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TaaGuo6Cell9UUpSYF59flJIK" +
  "EndLzClOBYoXZyQWpAL5GsY6mjoKtQoUAC4GKHjBDKEX8ENoAFBLAwQtAAAACAAAACEA7uWO9P//////////GQAUAG" +
  "RlY29kZV9jb250ZXh0X2xlbmd0aC5ucHkBABAAiAAAAAAAAABMAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6T" +
  "aaKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6mjoKtQoUAK4UBgYGHUYGBgBQSwMELQAAAAgAAAAhAC" +
  "hZdr7//////////w4AFABkZWNvZGVfaXRsLm5weQEAEACYAAAAAAAAAFkAAAAAAAAAm+wX6hsQychQxlCtnpJanFyk" +
  "bqWgbpNmoq6joJ6WX1RSlJgXn1+UkgoSDykqTQUKF2ckFqQCuRrGOgpGmjoKtQrkAy4GhgUODAwPgFjBkYHhAJAWAN" +
  "ILHAFQSwECLQMtAAAACAAAACEAsCjMiU0AAACQAAAADwAAAAAAAAAAAAAAgAEAAAAAcHJlZmlsbF9pc2wubnB5UEsB" +
  "Ai0DLQAAAAgAAAAhANgasKhMAAAAkAAAABMAAAAAAAAAAAAAAIABjgAAAHByZWZpbGxfdHRmdF9tcy5ucHlQSwECLQ" +
  "MtAAAACAAAACEAO9SIXU4AAACYAAAAGwAAAAAAAAAAAAAAgAEfAQAAZGVjb2RlX2FjdGl2ZV9rdl90b2tlbnMubnB5" +
  "UEsBAi0DLQAAAAgAAAAhAO7ljvRMAAAAiAAAABkAAAAAAAAAAAAAAIABugEAAGRlY29kZV9jb250ZXh0X2xlbmd0aC" +
  "5ucHlQSwECLQMtAAAACAAAACEAKFl2vlkAAACYAAAADgAAAAAAAAAAAAAAgAFRAgAAZGVjb2RlX2l0bC5ucHlQSwUG" +
  "AAAAAAUABQBKAQAA6gIAAAAA";
const STORED =
  "UEsDBC0AAAAAAAAAIQCwKMyJ//////////8PABQAcHJlZmlsbF9pc2wubnB5AQAQAJAAAAAAAAAAkAAAAAAAAACTTl" +
  "VNUFkBAHYAeydkZXNjcic6ICc8ZjgnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwpLCB9ICAg" +
  "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgCgAAAAAAAFlAAA" +
  "AAAAAwkUBQSwMELQAAAAAAAAAhANgasKj//////////xMAFABwcmVmaWxsX3R0ZnRfbXMubnB5AQAQAJAAAAAAAAAA" +
  "kAAAAAAAAACTTlVNUFkBAHYAeydkZXNjcic6ICc8ZjgnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOi" +
  "AoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg" +
  "CgAAAAAAACRAAAAAAAAATkBQSwMELQAAAAAAAAAhADvUiF3//////////xsAFABkZWNvZGVfYWN0aXZlX2t2X3Rva2" +
  "Vucy5ucHkBABAAmAAAAAAAAACYAAAAAAAAAJNOVU1QWQEAdgB7J2Rlc2NyJzogJzxpOCcsICdmb3J0cmFuX29yZGVy" +
  "JzogRmFsc2UsICdzaGFwZSc6ICgzLCksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC" +
  "AgICAgICAgICAgICAgICAgICAKAAAAAAAAAADoAwAAAAAAAKAPAAAAAAAAUEsDBC0AAAAAAAAAIQDu5Y70////////" +
  "//8ZABQAZGVjb2RlX2NvbnRleHRfbGVuZ3RoLm5weQEAEACIAAAAAAAAAIgAAAAAAAAAk05VTVBZAQB2AHsnZGVzY3" +
  "InOiAnPGk0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsKSwgfSAgICAgICAgICAgICAgICAg" +
  "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIApkAAAALAEAAFBLAwQtAAAAAAAAACEAKF" +
  "l2vv//////////DgAUAGRlY29kZV9pdGwubnB5AQAQAJgAAAAAAAAAmAAAAAAAAACTTlVNUFkBAHYAeydkZXNjcic6" +
  "ICc8ZjQnLCAnZm9ydHJhbl9vcmRlcic6IFRydWUsICdzaGFwZSc6ICgzLCAyKSwgfSAgICAgICAgICAgICAgICAgIC" +
  "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgCgAAoEAAAOBAAAAgQQAAwEAAABBBAACgQVBL" +
  "AQItAy0AAAAAAAAAIQCwKMyJkAAAAJAAAAAPAAAAAAAAAAAAAACAAQAAAABwcmVmaWxsX2lzbC5ucHlQSwECLQMtAA" +
  "AAAAAAACEA2BqwqJAAAACQAAAAEwAAAAAAAAAAAAAAgAHRAAAAcHJlZmlsbF90dGZ0X21zLm5weVBLAQItAy0AAAAA" +
  "AAAAIQA71IhdmAAAAJgAAAAbAAAAAAAAAAAAAACAAaYBAABkZWNvZGVfYWN0aXZlX2t2X3Rva2Vucy5ucHlQSwECLQ" +
  "MtAAAAAAAAACEA7uWO9IgAAACIAAAAGQAAAAAAAAAAAAAAgAGLAgAAZGVjb2RlX2NvbnRleHRfbGVuZ3RoLm5weVBL" +
  "AQItAy0AAAAAAAAAIQAoWXa+mAAAAJgAAAAOAAAAAAAAAAAAAACAAV4DAABkZWNvZGVfaXRsLm5weVBLBQYAAAAABQ" +
  "AFAEoBAAA2BAAAAAA=";

const ITL = [
  [5, 6],
  [7, 9],
  [10, 20],
];

const load = (sequences: number, context_tokens: number, used = 0, total = 1) => {
  return { sequences, context_tokens, used_kv_tokens: used, total_kv_tokens: total };
};

test("the polynomials have Dynamo's values", () => {
  expect(polynomialTiming.prefillMs(0)).toBe(0);
  expect(polynomialTiming.prefillMs(1)).toBeCloseTo(16.5166, 4);
  expect(polynomialTiming.prefillMs(8192)).toBeCloseTo(169.1366, 3);
  expect(polynomialTiming.decodeMs(load(0, 0))).toBe(0);
  expect(polynomialTiming.decodeMs(load(1, 0, 0))).toBeCloseTo(5.74, 9);
  expect(polynomialTiming.decodeMs(load(1, 0, 1, 2))).toBeCloseTo(26.31, 9);
  expect(polynomialTiming.decodeMs(load(1, 0, 3, 2))).toBeCloseTo(34.01, 9);
});

test.each([
  ["compressed", COMPRESSED],
  ["stored", STORED],
])("an npz archive that NumPy wrote is read: %s", (_, base64) => {
  const arrays = readNpz(Uint8Array.fromBase64(base64));
  expect([...arrays.keys()].sort()).toEqual([
    "decode_active_kv_tokens",
    "decode_context_length",
    "decode_itl",
    "prefill_isl",
    "prefill_ttft_ms",
  ]);
  expect(arrays.get("decode_itl")!.shape).toEqual([3, 2]);
  const profile = profileOf(arrays);
  expect(profile.decode_itl).toEqual(ITL);
  expect(profile.decode_active_kv_tokens).toEqual([0, 1000, 4000]);
});

test("every cut of an archive is refused with its own error", () => {
  const whole = Uint8Array.fromBase64(COMPRESSED);
  for (let length = 0; length < whole.length; length++) {
    expect(() => readNpz(whole.subarray(0, length))).toThrow(NpzError);
  }
});

test("no damage of an archive gets past its reader as another error", () => {
  for (const base64 of [COMPRESSED, STORED]) {
    const whole = Uint8Array.fromBase64(base64);
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice();
      damaged[at] = damaged[at]! ^ 0xff;
      try {
        readNpz(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(NpzError);
      }
    }
  }
});

test("a profile is linear between its points and goes on beyond them", () => {
  const timing = profileTiming(profileOf(readNpz(Uint8Array.fromBase64(STORED))));
  expect(timing.prefillMs(0)).toBe(0);
  expect([100, 600, 1100, 2100].map(timing.prefillMs)).toEqual([10, 35, 60, 110]);
  // By tokens in the batch, and the mean context of its sequences.
  expect(timing.decodeMs(load(10, 1000))).toBeCloseTo(7, 9);
  expect(timing.decodeMs(load(5, 1000))).toBeCloseTo(8, 9);
  expect(timing.decodeMs(load(25, 2500))).toBeCloseTo(8.5, 9);
  expect(timing.decodeMs(load(70, 7000))).toBeCloseTo(13, 9);
  expect(timing.decodeMs(load(0, 0))).toBe(0);
});

test("a profile of one point has one time", () => {
  const timing = profileTiming({
    prefill_isl: [100],
    prefill_ttft_ms: [7],
    decode_active_kv_tokens: [1],
    decode_context_length: [1],
    decode_itl: [[3]],
  });
  expect([timing.prefillMs(1), timing.prefillMs(9000)]).toEqual([7, 7]);
  expect(timing.decodeMs(load(4, 500))).toBe(3);
});

/** Files by path. */
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

const GRID = {
  prefill_isl: [100, 1100],
  prefill_ttft_ms: [10, 60],
  decode_active_kv_tokens: [0, 1000, 4000],
  decode_context_length: [100, 300],
  decode_itl: ITL,
};

test("npz and JSON files of one profile are one profile", async () => {
  const files = filesOf({ "p.npz": Uint8Array.fromBase64(STORED), "p.json": GRID });
  expect(await readProfile(files, "p.npz")).toEqual(await readProfile(files, "p.json"));
});

test("a profiler's folder of raw sweeps becomes a grid", async () => {
  const files = filesOf({
    "run/prefill_raw_data.json": {
      prefill_isl: [1100, 100],
      prefill_ttft: [60, 10],
      prefill_thpt_per_gpu: [1, 1],
    },
    "run/decode_raw_data.json": {
      x_kv_usage: [0.1, 0.5, 0.9, 0.1, 0.9],
      y_context_length: [100, 100, 100, 300, 300],
      z_itl: [5, 9, 11, 8, 16],
      z_thpt_per_gpu: [1, 1, 1, 1, 1],
      max_kv_tokens: 10_000,
    },
  });
  const profile = await readProfile(files, "run");
  expect(profile.prefill_isl).toEqual([100, 1100]);
  expect(profile.decode_context_length).toEqual([100, 300]);
  expect(profile.decode_active_kv_tokens.at(0)).toBeCloseTo(1000, 6);
  expect(profile.decode_active_kv_tokens.at(-1)).toBeCloseTo(9000, 6);
  const timing = profileTiming(profile);
  expect(timing.decodeMs(load(50, 5000))).toBeCloseTo(9, 6);
  expect(timing.decodeMs(load(25, 5000))).toBeCloseTo(10.5, 6);
  expect(timing.decodeMs(load(90, 9000))).toBeCloseTo(11, 6);
});

test("what a sweep says of drawing the first token is not charged twice", async () => {
  const files = filesOf({
    "run/prefill_raw_data.json": {
      prefill_isl: [100, 1100],
      prefill_ttft: [10, 60],
      prefill_draw_ms: [4, 6],
    },
    "run/decode_raw_data.json": {
      ...{ x_kv_usage: [0.1], y_context_length: [100], z_itl: [5], max_kv_tokens: 10_000 },
    },
  });
  expect((await readProfile(files, "run")).prefill_ttft_ms).toEqual([6, 54]);
});

test.each([
  ["nothing there", {}, "p.npz", "no such file"],
  ["an empty folder", {}, "run", "neither"],
  ["no JSON", { "p.json": new TextEncoder().encode("{") }, "p.json", "no JSON"],
  ["a missing array", { "p.json": { ...GRID, decode_itl: undefined } }, "p.json", "decode_itl"],
  ["other lengths", { "p.json": { ...GRID, decode_itl: [[1]] } }, "p.json", "3 × 2"],
  ["a descending axis", { "p.json": { ...GRID, prefill_isl: [2, 1] } }, "p.json", "ascend"],
  ["a negative time", { "p.json": { ...GRID, prefill_ttft_ms: [1, -1] } }, "p.json", "0 or more"],
])("a bad profile is refused in one line that names it: %s", async (_, content, path, reason) => {
  const error = await readProfile(filesOf(content), path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ProfileError);
  const { message } = error as ProfileError;
  expect(message).toStartWith(`${path}: `);
  expect(message).toContain(reason);
  expect(message).not.toContain("\n");
});

test.each([
  ["/etc/passwd", /^\/etc\/passwd: neither an \.npz nor a \.json profile, nor a folder with /],
  ["/no/such/p.json", /^\/no\/such\/p\.json: there is no such file$/],
])("what is no profile at all is refused in one line: %s", (path, message) => {
  return expect(readProfile(realFiles(), path)).rejects.toThrow(message);
});

test("a profile that cannot be read says why", () => {
  const files = {
    size_bytes: async () => 4_096,
    read: () => Promise.reject(new Error("EISDIR: illegal operation on a directory, read")),
  };
  return expect(readProfile(files, "p.json")).rejects.toThrow(
    /^p\.json: it cannot be read \(EISDIR/,
  );
});
