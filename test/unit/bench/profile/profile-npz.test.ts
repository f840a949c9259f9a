import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNpz } from "../../../../llm/profile/npz.ts";
import type { Curves } from "../../../bench/profile/curves.ts";
import { noNotes } from "../../../bench/profile/engine.ts";
import { readProfileFolder, writeProfile } from "../../../bench/profile/profile-folder.ts";
import { type Numbers, writeNpy, writeNpz } from "../../../bench/profile/write-npz.ts";

const filling = "ICAgICAgICAgICAgICAgICAgICAgICAg".repeat(2);

// By numpy 2.4.6: `io = BytesIO(); numpy.save(io, numpy.array(…)); base64.b64encode(io.getvalue())`.
const by_numpy: readonly (readonly [Numbers, string])[] = [
  [
    [1.5, -2, 3e9],
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDMsKSwgfSAg" +
      `${filling}ICAgICAgICAgIAoAAAAAAAD4PwAAAAAAAADAAAAAwAta5kE=`,
  ],
  [
    [
      [1, 2],
      [3, 4],
    ],
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDIpLCB9" +
      `${filling}ICAgICAgICAgIAoAAAAAAADwPwAAAAAAAABAAAAAAAAACEAAAAAAAAAQQA==`,
  ],
  [
    [7],
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEsKSwgfSAg" +
      `${filling}ICAgICAgICAgIAoAAAAAAAAcQA==`,
  ],
];

test("arrays are numpy's, byte for byte", () => {
  for (const [numbers, bytes] of by_numpy) {
    expect(Buffer.from(writeNpy(numbers)).toString("base64")).toBe(bytes);
  }
  expect(() => writeNpy([[1, 2], [3]])).toThrow("one length");
});

test("an archive is read back as it was", () => {
  const arrays = readNpz(
    writeNpz({
      x: [1, 2.5],
      grid: [
        [1, 2, 3],
        [4, 5, 6],
      ],
      none: [],
    }),
  );
  expect([...arrays.keys()]).toEqual(["x", "grid", "none"]);
  expect(arrays.get("x")).toEqual({ shape: [2], values: Float64Array.of(1, 2.5) });
  expect(arrays.get("grid")?.shape).toEqual([2, 3]);
  expect([...(arrays.get("grid")?.values ?? [])]).toEqual([1, 2, 3, 4, 5, 6]);
  expect(arrays.get("none")?.shape).toEqual([0]);
});

const curves: Curves = {
  prefill: {
    prefill_isl: [100, 200],
    prefill_ttft: [10, 20.5],
    prefill_thpt_per_gpu: [10_000, 9756],
    prefill_draw_ms: [1, 2],
  },
  decode: {
    max_kv_tokens: [4096],
    x_kv_usage: [0.1, 0.5],
    y_context_length: [150, 150],
    z_itl: [5, 9],
    z_thpt_per_gpu: [200, 1000],
  },
};

test("a folder of curves comes back from each of its forms, and a bad one says what is wrong", async () => {
  const folder = mkdtempSync(join(tmpdir(), "profile-"));
  try {
    await writeProfile(join(folder, "new"), curves, noNotes);
    expect(readProfileFolder(join(folder, "new"))).toEqual(curves);
    rmSync(join(folder, "new/selected_prefill_interpolation"), { recursive: true });
    // Bare, as some versions of the profiler write it.
    const bare = { ...curves.decode, max_kv_tokens: 4096 };
    rmSync(join(folder, "new/selected_decode_interpolation"), { recursive: true });
    writeFileSync(join(folder, "new/decode_raw_data.json"), JSON.stringify(bare));
    expect(readProfileFolder(join(folder, "new"))).toEqual(curves);
    writeFileSync(join(folder, "new/decode_raw_data.json"), JSON.stringify({ ...bare, z_itl: [] }));
    expect(() => readProfileFolder(join(folder, "new"))).toThrow("z_itl");
    writeFileSync(join(folder, "new/decode_raw_data.json"), "{");
    expect(() => readProfileFolder(join(folder, "new"))).toThrow("no JSON object");
    expect(() => readProfileFolder(join(folder, "gone"))).toThrow("prefill_raw_data.json");
    writeFileSync(join(folder, "file"), "");
    expect(writeProfile(join(folder, "file"), curves, noNotes)).rejects.toThrow(
      "cannot be written",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
