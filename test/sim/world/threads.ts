/**
 * Threads of a simulated process. There is one real thread, so what a grammar thread computes is
 * done where its message arrives, and takes no virtual time but that of the messages.
 */
import { GrammarWork } from "../../../actors/engine/grammar/grammar-work.ts";
import type { ToThread } from "../../../actors/engine/grammar/thread-messages.ts";
import type { Threads } from "../../../runtime/capabilities.ts";
import type { SimulatedProcess } from "./process.ts";

const GRAMMAR_ENTRY = "actors/engine/grammar/grammar-thread.ts";
/** From one thread to the other. */
const message_ms = 0.05;

export function simulatedThreads(process: SimulatedProcess): Threads {
  const { clock } = process;
  return {
    start: (entry, handlers) => {
      if (entry !== GRAMMAR_ENTRY) throw new Error(`a simulated process has no ${entry}`);
      let over = false;
      const work = new GrammarWork((message) => {
        // The thread writes its next mask over this one.
        const copy = structuredClone(message);
        clock.after(message_ms, () => {
          if (!over) handlers.message(copy);
        });
      });
      return {
        ended: Promise.resolve(),
        post: (message) => {
          const copy = structuredClone(message) as ToThread;
          clock.after(message_ms, () => {
            if (!over) work.take(copy);
          });
        },
        end: () => {
          over = true;
        },
        cpu_ms: () => undefined,
      };
    },
  };
}
