/** POST /v1/messages/count_tokens: what a message's prompt would take, without making one. */
import { ApiError, invalidValue } from "../api-error.ts";
import { type JsonRoute, jsonAnswer } from "../json-route.ts";
import { TOKENS_MAX } from "../tokenize/tokenize-fields.ts";
import { messageAnswer } from "./messages.ts";
import { countShape, promptFields } from "./messages-fields.ts";

export const countTokens: JsonRoute = {
  makes: "json",
  method: "POST",
  path: "/v1/messages/count_tokens",
  access: "key",
  counted: "count_tokens",
  page: { summary: "The tokens of a message's prompt", schema: "CountTokensRequest" },
  body: { fields: promptFields, nested: [] },
  handle: (scope) => {
    const body = scope.shaped(scope.body, countShape);
    // A prompt may be longer than the context: who counts wants to know by how much.
    const model = scope.modelWith(body.model, TOKENS_MAX);
    try {
      const { answer } = messageAnswer(body, { max_tokens: 1 }, model, scope.contextOf(undefined));
      return jsonAnswer({ input_tokens: answer.prompt.length });
    } catch (error) {
      if (error instanceof ApiError && error.code === "context_length_exceeded") throw tooMany();
      throw error;
    }
  },
};

const tooMany = () =>
  invalidValue(
    `'messages' has more than ${TOKENS_MAX} tokens, which are not counted; send less.`,
    "messages",
  );
