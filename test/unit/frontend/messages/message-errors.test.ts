/** The type of an error by its status, as Anthropic's clients tell them apart. */
import { expect, test } from "bun:test";
import { messageErrorBody } from "../../../../actors/frontend/api/messages/message-errors.ts";

const types: readonly (readonly [status: number, type: string])[] = [
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [405, "invalid_request_error"],
  [408, "timeout_error"],
  [409, "conflict_error"],
  [413, "request_too_large"],
  [415, "invalid_request_error"],
  [422, "invalid_request_error"],
  [429, "rate_limit_error"],
  [500, "api_error"],
  [502, "api_error"],
  [503, "overloaded_error"],
  [504, "timeout_error"],
  [529, "overloaded_error"],
];

for (const [status, type] of types) {
  test(`${status} is ${type}`, () => {
    const facts = { status, code: "some_code", message: "What to do." };
    expect(messageErrorBody(facts)).toEqual({
      type: "error",
      error: { type, message: facts.message, details: { error_code: "some_code" } },
      request_id: null,
    });
  });
}

test("the field to blame, the request and where to go on stand in it", () => {
  const facts = { status: 503, code: "draining", message: "Go on.", param: "model" };
  expect(messageErrorBody(facts, "/v1/streams/r", "r")).toEqual({
    type: "error",
    error: {
      ...{ type: "overloaded_error", message: "Go on." },
      details: { error_code: "draining", param: "model", resume: "/v1/streams/r" },
    },
    request_id: "r",
  });
});
