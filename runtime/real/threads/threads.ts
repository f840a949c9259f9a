/** Threads of a real process: Bun's workers. */
import { join } from "node:path";
import type { Threads } from "../../capabilities.ts";
import { isCompiled } from "../spawn.ts";
import { threadCpuMs, threadNamed } from "./thread-cpu.ts";

const ROOT = join(import.meta.dir, "..", "..", "..");

/** Threads of this process so far: each has a name of its own, by which the system knows it. */
let started = 0;

export function realThreads(): Threads {
  return {
    start: (entry, handlers) => {
      // In a compiled binary names are relative to what it carries.
      const path = isCompiled() ? `./${entry}` : join(ROOT, entry);
      const name = `troupe-${++started}`;
      const worker = new Worker(path, { smol: true, name });
      worker.unref(); // it never keeps its process alive
      let reason = "it was ended";
      let os_thread: string | undefined;
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
        cpu_ms: () => {
          os_thread ??= threadNamed(name);
          return os_thread === undefined ? undefined : threadCpuMs(os_thread);
        },
      };
    },
  };
}
