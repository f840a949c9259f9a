/** Threads of a real process: Bun's workers. */
import { join } from "node:path";
import type { Threads } from "../../capabilities.ts";
import { isCompiled } from "../spawn.ts";

const ROOT = join(import.meta.dir, "..", "..", "..");

export function realThreads(): Threads {
  return {
    start: (entry, handlers) => {
      // In a compiled binary names are relative to what it carries.
      const worker = new Worker(isCompiled() ? `./${entry}` : join(ROOT, entry), { smol: true });
      worker.unref(); // it never keeps its process alive
      let reason = "it was ended";
      const ended = new Promise<void>((resolve) => {
        worker.addEventListener("close", () => {
          resolve();
          handlers.ended(reason);
        });
      });
      worker.addEventListener("error", (event) => {
        reason = event.message;
        worker.terminate();
      });
      worker.addEventListener("message", (event) => handlers.message(event.data));
      return {
        ended,
        post: (message) => worker.postMessage(message),
        end: () => worker.terminate(),
      };
    },
  };
}
