/** Capabilities of a real process. */
import type { Capabilities, LogLevel, Store } from "../capabilities.ts";
import type { Telemetry } from "../observe/telemetry.ts";
import { MemoryStore } from "../store/memory.ts";
import { realClock } from "./clock.ts";
import { realFiles } from "./files.ts";
import { realIds } from "./ids.ts";
import { realLog, type WriteLine } from "./log.ts";
import { realNet } from "./net.ts";
import { realRandom } from "./random.ts";
import { realSpawn } from "./spawn.ts";
import { realThreads } from "./threads/threads.ts";

type RealOptions = {
  readonly log_level: LogLevel;
  /** On every log line: the node's name, for one. */
  readonly log_fields?: Readonly<Record<string, unknown>>;
  /** Where log lines go instead of stderr. */
  readonly write_log?: WriteLine;
  /** Forgets with the process when not given. */
  readonly store?: Store;
  readonly telemetry?: Telemetry | undefined;
};

export function realCapabilities(options: RealOptions): Capabilities {
  return {
    clock: realClock(),
    random: realRandom(),
    ids: realIds(),
    log: realLog(options.log_level, options.log_fields, options.write_log),
    net: realNet(),
    spawn: realSpawn(),
    files: realFiles(),
    store: options.store ?? new MemoryStore(),
    threads: realThreads(),
    ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry }),
  };
}
