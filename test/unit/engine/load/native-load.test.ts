/** The start of an engine says how much of its model's files is read, and can be given up. */
import { beforeAll, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { openLlama } from "../../../../actors/engine/llama/llama.ts";
import {
  type LoadProgress,
  loadProgress,
  loadText,
} from "../../../../actors/engine/llama/load-progress.ts";
import { buildShim } from "../../../../native/build.ts";
import { TEST_MODEL } from "../../../support/engine/engine-model.ts";

beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it

test("bytes are read up to the whole file, then they are laid out", async () => {
  const heard: LoadProgress[] = [];
  const engine = await openLlama({
    ...{ model: TEST_MODEL, threads: 1, context_length: 512, kv_tokens: 512 },
    on_progress: (progress) => heard.push(progress),
  });
  await engine.close();
  const total_bytes = statSync(TEST_MODEL).size;
  const whole = { fraction: 1, done_bytes: total_bytes, total_bytes, stage: "laying out" };
  expect(heard.at(-1)).toEqual(whole as LoadProgress);
  const before = heard.filter((each) => each.total_bytes > 0); // its size is known after the first
  const places = before.map(({ stage, done_bytes }) =>
    stage === "reading" ? done_bytes : total_bytes + done_bytes,
  );
  expect(places).toEqual(places.toSorted((a, b) => a - b));
}, 30_000);

const GB = 1e9;
const cases = [
  [{ read_bytes: 0, file_bytes: 0 }, 0, "reading 0 B of 0 B, /m.gguf"],
  [{ read_bytes: 0.5 * GB, file_bytes: 4 * GB }, 0, "reading 500 MB of 4.0 GB, /m.gguf"],
  [{ read_bytes: 4 * GB, file_bytes: 4 * GB }, 0, "laying out 0 B of 4.0 GB, /m.gguf"],
  [{ read_bytes: 4 * GB, file_bytes: 4 * GB }, 250, "laying out 1.0 GB of 4.0 GB, /m.gguf"],
  // What the disk did not give is not waited for.
  [{ read_bytes: 3 * GB, file_bytes: 4 * GB }, 500, "laying out 2.0 GB of 4.0 GB, /m.gguf"],
] as const;

test("what a person reads of it", () => {
  for (const [bytes, permille, text] of cases) {
    expect(loadText("/m.gguf", loadProgress(bytes, permille))).toBe(text);
  }
});
