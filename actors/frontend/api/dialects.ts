/** The table of API dialects: a route is here, or it is not there. */
import { chat } from "./chat/chat.ts";
import { completions } from "./completions/completions.ts";
import type { Dialect } from "./dialect.ts";
import { embeddings } from "./embeddings/embeddings.ts";

export const dialects: readonly Dialect[] = [chat, completions, embeddings];
