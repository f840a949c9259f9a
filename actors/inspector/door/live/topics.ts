/** The table of topics. A topic is a file and a line here. */
import { actorTopic } from "./actor-topic.ts";
import type { Topic } from "./topic.ts";
import { treeTopic } from "./tree-topic.ts";

export const topics: readonly Topic[] = [treeTopic, actorTopic];
