/**
 * Logs go to stderr, by pino: stdout belongs to the `ready` line. Pipes and files get JSON lines, a
 * terminal gets lines for a person. Children write JSON to their pipe and the root passes it on, so
 * `humanLine` is for both.
 */
import pino from "pino";
import type { Log, LogLevel } from "../capabilities.ts";

/** Takes one JSON line, its end included. */
export type WriteLine = (line: string) => void;

export function realLog(
  level: LogLevel,
  fields: Readonly<Record<string, unknown>> = {},
  write?: WriteLine,
): Log {
  // Synchronous: what a process says right before it dies is what one wants to read.
  const to = write === undefined ? pino.destination({ dest: 2, sync: true }) : { write };
  const logger = pino({ level, base: fields }, to);
  return {
    log: (at, message, more) =>
      more === undefined ? logger[at](message) : logger[at](more, message),
  };
}

const HELD_LINES_MAX = 1_000;

/**
 * Lines of a cluster that is starting: shown when it serves. A start that fails is told in one line
 * instead, and what every supervisor on the way up said of it would bury that.
 */
export class HeldLines {
  #held: string[] | undefined = [];

  readonly write: WriteLine = (line) => {
    if (this.#held === undefined) show(line);
    else if (this.#held.length < HELD_LINES_MAX) this.#held.push(line);
  };

  release(): void {
    for (const line of this.#held ?? []) show(line);
    this.#held = undefined;
  }
}

function show(line: string): void {
  process.stderr.write(process.stderr.isTTY ? `${humanLine(line.trimEnd())}\n` : line);
}

const levels: Readonly<Record<number, string>> = {
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
};
const hidden = new Set(["level", "time", "node", "actor", "msg"]);

/** A pino line as `12:00:00 warn worker-0/worker: text key=value`; anything else as it is. */
export function humanLine(line: string): string {
  if (!line.startsWith('{"level":')) return line;
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    const time = new Date(Number(entry["time"])).toTimeString().slice(0, 8);
    const who = `${entry["node"] ?? ""}${entry["actor"] ?? ""}`;
    const more = Object.entries(entry)
      .filter(([key]) => !hidden.has(key))
      .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
      .join("");
    const level = levels[Number(entry["level"])] ?? "";
    return harmless(`${time} ${level.padEnd(5)} ${who}: ${entry["msg"]}${more}`);
  } catch {
    return line;
  }
}

/** What clients send stands in lines as well, and a terminal does what such characters say. */
const CONTROLS = /[^\P{Cc}\n\t]/gu;

const harmless = (text: string): string =>
  text.replace(CONTROLS, (each) => `\\x${each.charCodeAt(0).toString(16).padStart(2, "0")}`);
