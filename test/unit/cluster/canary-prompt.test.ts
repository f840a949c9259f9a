/** What a worker's engine answers before it is ready, whatever the vocabulary. */
import { expect, test } from "bun:test";
import { ModelError } from "../../../actors/model/model.ts";
import { canaryPrompt } from "../../../cluster/worker-world.ts";
import { byteTokenizer } from "../../support/worlds/frontend-fakes.ts";

test("the text in the model's tokens", () => {
  expect(canaryPrompt(byteTokenizer, "m").length).toBeGreaterThanOrEqual(5);
});

test("a vocabulary that cannot write it is told in one line", () => {
  const mute = { encode: () => new Uint32Array(0) };
  expect(() => canaryPrompt(mute, "odd-model")).toThrow(ModelError);
  expect(() => canaryPrompt(mute, "odd-model")).toThrow(
    /^odd-model: its vocabulary cannot write "Hello", [^\n]*: give another model$/,
  );
});
