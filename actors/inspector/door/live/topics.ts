/** The table of topics. A topic is a file and a line here. */
import { actsTopic } from "../../acts/acts-topic.ts";
import { actorTopic } from "./actor-topic.ts";
import { kvTopic } from "./kv-topic.ts";
import { loadTopic } from "./load-topic.ts";
import { plannerTopic } from "./planner-topic.ts";
import { requestsTopic, requestTopic } from "./requests-topics.ts";
import type { Topic } from "./topic.ts";
import { treeTopic } from "./tree-topic.ts";

export const topics: readonly Topic[] = [
  ...[treeTopic, actorTopic, kvTopic, loadTopic, actsTopic, plannerTopic],
  ...[requestsTopic, requestTopic],
];
