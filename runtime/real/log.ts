/** Logs as JSON lines on stderr, by pino: stdout belongs to the `ready` line. */

import pino from "pino";
import type { Log, LogLevel } from "../capabilities.ts";

export function realLog(level: LogLevel, fields: Readonly<Record<string, unknown>> = {}): Log {
  // Synchronous: what a process says right before it dies is what one wants to read.
  const logger = pino({ level, base: fields }, pino.destination({ dest: 2, sync: true }));
  return {
    log: (at, message, more) =>
      more === undefined ? logger[at](message) : logger[at](more, message),
  };
}
