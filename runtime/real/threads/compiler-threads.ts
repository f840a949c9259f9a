/**
 * The engine's compiler threads, made to give way. They get as large a slice of a core as the
 * thread that answers requests, and while code gets warm they are always busy: a request that
 * arrives on their core waits 2 to 4 ms. Niced, they are put aside when a request comes (requests
 * over 2 ms at one at a time on two cores: 4 % → 2 %). Threads of the garbage collector keep their
 * rank, as the program waits for them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

const TASKS = "/proc/self/task";
const COMPILER = "JITWorker";
/** About a tenth of a full share where all cores are busy, so that code still gets compiled. */
const NICENESS = 10;
const NICENESS_MAX = 19;
/** Time between two looks, as the threads come and go with the work. */
const LOOK_PERIOD_MS = 500;

/** Looks for them from now on; does nothing where threads have no files (not Linux). */
export function niceCompilerThreads(): void {
  const seen = new Set<string>();
  const look = () => {
    try {
      for (const thread of readdirSync(TASKS)) {
        if (seen.has(thread)) continue;
        seen.add(thread);
        lower(thread);
      }
    } catch {
      clearInterval(timer);
    }
  };
  const timer = setInterval(look, LOOK_PERIOD_MS);
  timer.unref();
  look();
}

function lower(thread: string): void {
  try {
    const name = readFileSync(`${TASKS}/${thread}/comm`, "utf8").trim();
    if (name !== COMPILER) return;
    setPriority(Number(thread), Math.min(getPriority() + NICENESS, NICENESS_MAX));
  } catch {
    // It has already ended, or may not be lowered: nothing depends on it.
  }
}
