/** What is refused is said to somebody who has never seen the code: what is wrong, what to do. */
import { expect, test } from "bun:test";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import {
  chatFields,
  chatShape,
  messageFields,
} from "../../../actors/frontend/api/chat/chat-fields.ts";
import { checkNames, checkShape } from "../../../actors/frontend/api/check-body.ts";
import { completionFields } from "../../../actors/frontend/api/completions/completion-fields.ts";
import { embeddingFields } from "../../../actors/frontend/api/embeddings/embedding-fields.ts";
import type { Fields } from "../../../actors/frontend/api/request-fields.ts";
import {
  busyFilters,
  kvFilters,
  NO_WORKERS,
  notFailing,
} from "../../../actors/router/policy/filters.ts";

const tables: readonly Fields[] = [chatFields, messageFields, completionFields, embeddingFields];

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

test("a refused field says why in a sentence, and what to send instead", () => {
  for (const fields of tables) {
    for (const [name, { treatment, note, harmless }] of Object.entries(fields)) {
      if (treatment !== "refused") continue;
      expect(note).toMatch(/^[A-Z][^.]{12,}\.$/);
      const message = messageOf(() => checkNames({ [name]: { odd: 1 } }, fields, "refuse"));
      const instead = harmless === undefined ? "" : `, or send ${harmless.as}`;
      expect(message).toBe(`'${name}' is not supported. ${note} Remove the field${instead}.`);
      if (harmless === undefined) continue;
      const value: unknown = JSON.parse(harmless.as);
      expect(() => checkNames({ [name]: value }, fields, "refuse")).not.toThrow();
    }
  }
});

test("a value that does not fit is told what would", () => {
  const chat = { model: "m", messages: [{ role: "user", content: "hi" }] };
  const cases: readonly (readonly [object, string])[] = [
    [
      { messages: [{ role: "user", content: [{ type: "smell" }] }] },
      "Invalid value for 'messages[0].content[0].type': expected text, got a string.",
    ],
    [
      { stop: [1.5] },
      "Invalid value for 'stop[0]': expected a string or a token id, got a number.",
    ],
    [{ logit_bias: { x: 1 } }, "Invalid name 'logit_bias.x': it must be a token id."],
    [
      { chat_template_kwargs: { a: [1] } },
      "Invalid value for 'chat_template_kwargs.a': expected a string, a number, a boolean or null, got an array.",
    ],
    [{ temperature: 3 }, "'temperature' is too large: at most 2, got 3."],
    [{ model: undefined }, "Missing required parameter: 'model'. Add it to the request."],
  ];
  for (const [more, message] of cases) {
    expect(messageOf(() => checkShape({ ...chat, ...more }, chatShape))).toBe(message);
  }
});

test("every reason for which a router finds no worker has its own words", () => {
  const filters = [...kvFilters, ...busyFilters(() => ({})), notFailing];
  const words = [NO_WORKERS, ...filters.map(({ message }) => message)];
  for (const text of words) expect(text).toMatch(/^[A-Z].*\.$/);
  expect(new Set(words).size).toBe(words.length);
});
