/**
 * How much one request may ask for. The door refuses what is beyond, with the number in its words
 * and in docs/api.md, and every engine takes what is within: both read this table, and
 * test/e2e/limits.test.ts tries each line from both sides on every engine. troupe.h repeats what
 * the native engine has to know; a test compares.
 */
export const requestLimits = {
  /** Answers per prompt, and prompts × answers of one request. */
  answers: 128,
  /** Answers per prompt of which the best are shown. */
  best_of: 20,
  /** Strings or token ids in `stop`. */
  stop: 32,
  /** UTF-16 units of one string in `stop`; every answer is searched for all of them. */
  stop_chars: 4_096,
  stop_token_ids: 1_024,
  logit_bias: 4_096,
  /** Likeliest tokens beside the chosen one: in chats, and as OpenAI's text completions have it. */
  top_logprobs: 20,
  logprobs: 5,
  /** Log probabilities of prompt tokens in one answer, which is written in one go. */
  prompt_scores: 131_072,
  messages: 8_192,
  content_parts: 1_024,
  /** Fields of one JSON object that are not known here, where those are ignored. */
  unknown_fields: 64,
  template_variables: 64,
  /** Functions of one request, calls of one message, and UTF-16 units of all functions together. */
  tools: 1_536,
  tool_calls: 1_536,
  tools_chars: 524_288,
  /** JSON values in the schemas of all tools, and in the arguments of all calls: 50 ms to write. */
  json_values: 65_536,
  /** Inputs of one request for embeddings, as OpenAI. */
  embedding_inputs: 2_048,
  /** Numbers of one answer of vectors a token: more would be too large to write down. */
  token_values: 4_194_304,
} as const;

/** Most stop strings and stop tokens of one request together, at an engine. */
export const stopTokensLimit = requestLimits.stop + requestLimits.stop_token_ids;
