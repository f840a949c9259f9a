/** The load, a point a second. */
import { loadHistoryOf } from "../../load/load-history.ts";
import { ANSWER_DEADLINE_MS } from "../door.ts";
import type { Topic } from "./topic.ts";

export const loadTopic: Topic = {
  name: "load",
  every_ms: 1_000,
  open: ({ system, options }) => {
    let told_ms = 0;
    let last: object | undefined;
    return {
      next: async () => {
        const history = loadHistoryOf(system, options.load_path);
        if (history === undefined) return undefined;
        const question = { kind: "get_load_point" } as const;
        const deadline = { deadline_ms: ANSWER_DEADLINE_MS };
        const { point } = await system.ask(history, question, deadline);
        if (point === undefined || point.at_ms === told_ms) return undefined;
        told_ms = point.at_ms;
        last = { point };
        return last;
      },
      whole: () => last,
      close: () => void loadHistoryOf(system, options.load_path)?.tell({ kind: "end_load_watch" }),
    };
  },
};
