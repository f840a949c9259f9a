/** How long a thread has computed, by Linux's files of threads; other systems do not say. */
import { readdirSync, readFileSync } from "node:fs";

const TASKS = "/proc/self/task";
const NS_PER_MS = 1e6;

/** The OS thread of this process that has the name (15 characters at most); undefined: none. */
export function threadNamed(name: string): string | undefined {
  try {
    return readdirSync(TASKS).find((thread) => read(thread, "comm").trim() === name);
  } catch {
    return undefined;
  }
}

/** Milliseconds of a core; undefined: there is no such thread, or the system does not say. */
export function threadCpuMs(thread: string): number | undefined {
  try {
    const spent_ns = Number(read(thread, "schedstat").split(" ", 1)[0]);
    return Number.isFinite(spent_ns) ? spent_ns / NS_PER_MS : undefined;
  } catch {
    return undefined;
  }
}

const read = (thread: string, file: string) => readFileSync(`${TASKS}/${thread}/${file}`, "utf8");
