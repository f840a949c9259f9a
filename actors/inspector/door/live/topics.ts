/** The table of topics. A topic is a file and a line here. */
import type { Topic } from "./topic.ts";

export const topics: readonly Topic[] = [];
