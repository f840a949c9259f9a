/** The table of API dialects: every POST that models answer. Other routes: json-routes.ts. */
import { chat } from "./chat/chat.ts";
import { completions } from "./completions/completions.ts";
import type { Dialect } from "./dialect.ts";
import { embeddings } from "./embeddings/embeddings.ts";
import { generate } from "./generate/generate.ts";

export const dialects: readonly Dialect[] = [chat, completions, embeddings, generate];
