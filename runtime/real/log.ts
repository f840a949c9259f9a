/**
 * Logs go to stderr, by pino: stdout belongs to the `ready` line. Pipes and files get JSON lines, a
 * terminal gets lines for a person. Children write JSON to their pipe and the root passes it on, so
 * `humanLine` is for both.
 */
import pino from "pino";
import type { Log, LogLevel } from "../capabilities.ts";

export function realLog(level: LogLevel, fields: Readonly<Record<string, unknown>> = {}): Log {
  // Synchronous: what a process says right before it dies is what one wants to read.
  const to = pino.destination({ dest: 2, sync: true });
  const write = (line: string) => to.write(`${humanLine(line.trimEnd())}\n`);
  const logger = pino({ level, base: fields }, process.stderr.isTTY ? { write } : to);
  return {
    log: (at, message, more) =>
      more === undefined ? logger[at](message) : logger[at](more, message),
  };
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
    return `${time} ${level.padEnd(5)} ${who}: ${entry["msg"]}${more}`;
  } catch {
    return line;
  }
}
