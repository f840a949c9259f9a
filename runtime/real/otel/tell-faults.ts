/**
 * What OpenTelemetry's packages report of themselves. A collector that is away fails each export,
 * which is told once in a while: whoever set the endpoint wants to know, and nobody reads it often.
 */
import type { DiagLogger } from "@opentelemetry/api";
import type { Clock, Log } from "../../capabilities.ts";

const TELL_EVERY_MS = 60_000;
const REASON_CHARS = 300;

export function faultTeller(log: Log, clock: Pick<Clock, "now_ms">): DiagLogger {
  let told_ms = Number.NEGATIVE_INFINITY;
  let untold = 0;
  const tell = (said: unknown): void => {
    const now_ms = clock.now_ms();
    if (now_ms - told_ms < TELL_EVERY_MS) {
      untold++;
      return;
    }
    const more = untold === 0 ? {} : { untold };
    told_ms = now_ms;
    untold = 0;
    const line = "traces or metrics are not exported; look at OTEL_EXPORTER_OTLP_ENDPOINT";
    log.log("warn", line, { error: reasonOf(String(said)), ...more });
  };
  const nothing = (): void => {};
  return { error: tell, warn: tell, info: nothing, debug: nothing, verbose: nothing };
}

/** Errors come as the JSON of all their fields. */
function reasonOf(said: string): string {
  try {
    const { message } = JSON.parse(said) as { message?: unknown };
    if (typeof message === "string") return message.slice(0, REASON_CHARS);
  } catch {
    // A text.
  }
  return said.slice(0, REASON_CHARS);
}
