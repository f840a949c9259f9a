/** The log of acts, for pages that watch it. */
import type { Topic } from "../door/live/topic.ts";

export const actsTopic: Topic = {
  name: "acts",
  every_ms: 1_000,
  open: ({ options }) => {
    let seen = -1;
    const frame = () => ({ acts: options.acts?.log.all() ?? [] });
    return {
      next: async () => {
        const { version = 0 } = options.acts?.log ?? {};
        if (version === seen) return undefined;
        seen = version;
        return frame();
      },
      whole: frame,
    };
  },
};
