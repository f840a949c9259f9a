/**
 * When this process is asked to stop. Three traps, all seen:
 *  - a terminal's Ctrl-C reaches a child of `bun run` twice within 2 ms, so a repeat within 500 ms
 *    is the same wish;
 *  - `npx` passes no SIGTERM on: its death is seen by watching our ancestors;
 *  - children get the terminal's SIGINT too, but only the root may decide, so they ignore it.
 */
import { readFileSync } from "node:fs";

const REPEAT_MS = 500;
const WATCH_PERIOD_MS = 500;

type StopListener = {
  /** The first wish: drain. */
  readonly stop: (why: string) => void;
  /** A second wish, later: leave at once. */
  readonly now: () => void;
};

/** For the root: SIGTERM, SIGINT, SIGHUP and the loss of the launcher that started us. */
export function onStopSignal(listener: StopListener): void {
  let first_ms: number | undefined;
  const wish = (why: string) => {
    const now_ms = performance.now();
    if (first_ms === undefined) {
      first_ms = now_ms;
      listener.stop(why);
    } else if (now_ms - first_ms > REPEAT_MS) {
      listener.now();
    }
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => wish(signal));
  }
  const launchers = launcherPids();
  if (launchers.length === 0) return;
  const watch = setInterval(() => {
    if (launchers.every((launcher) => startOf(launcher.pid) === launcher.start)) return;
    clearInterval(watch);
    if (first_ms === undefined) wish("the launcher is gone");
  }, WATCH_PERIOD_MS);
  watch.unref();
}

/** For children: they ignore the terminal's Ctrl-C, and stop at the root's SIGTERM. */
export function onChildStop(stop: () => void): void {
  process.on("SIGINT", () => {});
  process.on("SIGHUP", () => {});
  process.on("SIGTERM", stop);
}

type Launcher = { readonly pid: number; readonly start: string };

/**
 * Our ancestors up to the outermost package runner (`npx`, `npm exec`, `bun run`). A shell between
 * them belongs to the chain, the shell that a person types into does not: it stands above it.
 */
function launcherPids(): readonly Launcher[] {
  const chain: Launcher[] = [];
  let outermost = 0;
  for (let pid = process.ppid; pid > 1 && chain.length < 6; ) {
    const stat = statOf(pid);
    if (stat === undefined) break;
    chain.push({ pid, start: stat.start });
    if (isRunner(pid)) outermost = chain.length;
    pid = stat.parent;
  }
  return chain.slice(0, outermost);
}

function isRunner(pid: number): boolean {
  const words = readOr(`/proc/${pid}/cmdline`).split("\0");
  const text = words.slice(0, 3).join(" ");
  return /\b(npx|npm exec|npm run|bunx)\b|npx-cli|npm-cli|\bbun(\.exe)? run\b/.test(text);
}

function statOf(pid: number): { parent: number; start: string } | undefined {
  const text = readOr(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces: count the fields behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 20 || fields[0] === "Z") return undefined;
  return { parent: Number(fields[1]), start: fields[19] ?? "" };
}

const startOf = (pid: number) => statOf(pid)?.start;

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process is gone, or this system has no /proc: nothing to watch.
  }
}
