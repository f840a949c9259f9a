import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generate } from "../../../proto/generate.ts";
import { codecs, type Generate, messageTable } from "../../../proto/index.ts";

test("proto/gen is what proto/generate.ts makes of the .proto files", async () => {
  for (const [name, text] of Object.entries(await generate())) {
    const checked_in = readFileSync(join(import.meta.dir, "../../../proto/gen", name), "utf8");
    expect(checked_in === text, `proto/gen/${name} is stale: bun run build:proto`).toBe(true);
  }
}, 30_000);

test("type ids and kinds are unique, and ids below 64 are left to the runtime", () => {
  const ids = messageTable.map((entry) => entry.id);
  const kinds = messageTable.map((entry) => entry.kind);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(kinds).size).toBe(kinds.length);
  expect(Math.min(...ids)).toBeGreaterThanOrEqual(64);
});

test("a message survives its codec, bytes and nested messages included", () => {
  const message: Generate = {
    kind: "generate",
    request: "r1",
    model: "tiny",
    prompt: new Uint8Array(new Uint32Array([1, 2, 70_000]).buffer),
    sampling: {
      temperature: 0.5,
      top_k: 40,
      top_p: 1,
      min_p: 0,
      typical_p: 1,
      repetition_penalty: 1,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: [{ token: 7, bias: -100 }],
      seed: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 255]),
    },
    choices: [{ choice: 1, delivered: new Uint8Array(0), max_tokens: 16 }],
    min_tokens: 0,
    stop_tokens: [2, 3],
    ignore_eos: true,
    logprobs: -1,
    consumer: { node: "n", path: "/a", incarnation: new Uint8Array(8), address: "memory:n" },
    deadline_ms: 1000,
    window_tokens: 64,
    alone: false,
  };
  const codec = messageTable.find((entry) => entry.kind === "generate")?.codec;
  const bytes = codec?.encode(message as never).finish() ?? new Uint8Array();
  const { kind: _, ...fields } = message;
  expect(codec?.decode(bytes)).toMatchObject(fields);
});

test("an optional text is told apart from an empty one", () => {
  const bytes = codecs.Generate.encode({ ...codecs.Generate.decode(Uint8Array.of()), salt: "" });
  const { salt, adapter } = codecs.Generate.decode(bytes.finish());
  expect([salt, adapter]).toEqual(["", undefined]);
});

test("an enum is a number on the wire and a name outside; an unknown number is its first name", () => {
  const ref = { node: "n", path: "/w", incarnation: new Uint8Array(8), address: "" };
  const plan = { request: "r", legs: [{ role: "aggregated" as const, worker: "w", ref }] };
  const [leg] = codecs.Plan.decode(codecs.Plan.encode(plan).finish()).legs;
  expect(leg).toMatchObject({ role: "aggregated", worker: "w" });
  expect(codecs.PlanLeg.decode(Uint8Array.of(8, 77)).role).toBe("aggregated");
  const refused = { request: "r", code: "queue_full" as const, message: "", retry_after_ms: 0 };
  expect(codecs.Refused.decode(codecs.Refused.encode(refused).finish())).toMatchObject(refused);
  expect(codecs.Refused.decode(Uint8Array.of(16, 99)).code).toBe("unknown");
  expect(codecs.Finished.decode(Uint8Array.of(16, 99)).reason).toBe("unknown");
  expect(codecs.RouteEnded.decode(Uint8Array.of(24, 99)).outcome).toBe("unknown");
});

test("an optional enum is a name as well, its first one too, or is not there", () => {
  const add = { change: "c", epoch: 0, model: "", count: 1, ready_ms: 0 };
  const roleOf = (message: typeof add & { role?: "aggregated" | "prefill" }) =>
    codecs.AddWorkers.decode(codecs.AddWorkers.encode(message).finish()).role;
  expect(roleOf({ ...add, role: "prefill" })).toBe("prefill");
  expect(roleOf({ ...add, role: "aggregated" })).toBe("aggregated");
  expect(roleOf(add)).toBeUndefined();
});
