/** The table of API dialects: every POST that models answer. Other routes: json-routes.ts. */
import { chat } from "./chat/chat.ts";
import { classify } from "./classify/classify.ts";
import { completions } from "./completions/completions.ts";
import type { Dialect } from "./dialect.ts";
import { embeddings } from "./embeddings/embeddings.ts";
import { generate } from "./generate/generate.ts";
import { messages } from "./messages/messages.ts";
import { pooling } from "./pooling/pooling.ts";
import { rerank } from "./rerank/rerank.ts";
import { responses } from "./responses/responses.ts";
import { score } from "./score/score.ts";

export const dialects: readonly Dialect[] = [
  ...[chat, completions, embeddings, generate, messages, responses],
  ...[rerank, score, classify, pooling],
];
