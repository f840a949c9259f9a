/**
 * Rows of a request trace (`dynamo.request.trace.v1`, Dynamo's and our `--request-trace`) as rows of
 * the Mooncake form. The times become ms from the first request on. If every request names its
 * session, a session's turns follow one another: each comes as long after the answer before it as it
 * did. Requests without a replay part (several answers, vectors) and those without a token are left
 * out; so are rows of tools and payloads.
 */
import { type Fields, shownValue, TraceError, type TraceRow } from "./trace-rows.ts";

const SCHEMA = "dynamo.request.trace.v1";

export type DynamoRows = {
  readonly rows: readonly TraceRow[];
  /** Tokens that one hash stands for. */
  readonly block_size: number;
};

export const isDynamoTrace = (rows: readonly TraceRow[]): boolean =>
  rows[0]?.fields["schema"] === SCHEMA;

type Request = {
  readonly line: number;
  readonly id: string;
  readonly received_ms: number;
  readonly ended_ms: number;
  readonly output_tokens: number;
  readonly replay: Fields;
  readonly session: string | undefined;
};

/** Throws TraceError that names the line. */
export function dynamoRows(rows: readonly TraceRow[]): DynamoRows {
  const requests = rows.flatMap(requestOf).sort((a, b) => a.received_ms - b.received_ms);
  const [first] = requests;
  if (first === undefined) throw new TraceError(1, "no request of the trace can be replayed");
  const block_size = numberIn(first.replay, "trace_block_size", first.line);
  const sessions = requests.every(({ session }) => session !== undefined);
  const ended_of = new Map<string, number>();
  const mooncake = requests.map((request): TraceRow => {
    const { line, id, received_ms, ended_ms, output_tokens, replay, session } = request;
    const size = numberIn(replay, "trace_block_size", line);
    if (size !== block_size) {
      throw new TraceError(line, `blocks of ${size} tokens; those before have ${block_size}`);
    }
    const before_ms = sessions ? ended_of.get(session ?? "") : undefined;
    if (sessions) ended_of.set(session ?? "", ended_ms);
    return {
      line,
      fields: {
        request_id: id,
        timestamp: received_ms - first.received_ms,
        input_length: replay["input_length"],
        output_length: output_tokens,
        hash_ids: replay["input_sequence_hashes"],
        ...(sessions ? { session_id: session } : {}),
        ...(before_ms === undefined ? {} : { delay: Math.max(0, received_ms - before_ms) }),
      },
    };
  });
  return { rows: mooncake, block_size };
}

function requestOf({ fields, line }: TraceRow): Request[] {
  if (fields["schema"] !== SCHEMA) {
    throw new TraceError(line, `schema must be ${SCHEMA}, not ${shownValue(fields["schema"])}`);
  }
  if (fields["event_type"] !== "request_end") return [];
  const request = objectIn(fields, "request");
  if (request === undefined) throw new TraceError(line, "request is missing");
  const replay = objectIn(request, "replay");
  const output_tokens = numberIn(request, "output_tokens", line);
  if (replay === undefined || output_tokens < 1) return [];
  const received_ms = numberIn(request, "request_received_ms", line);
  const total_ms = request["total_time_ms"];
  const ended_ms =
    typeof total_ms === "number"
      ? received_ms + total_ms
      : numberIn(fields, "event_time_unix_ms", line);
  const session = objectIn(fields, "agent_context")?.["session_id"];
  return [
    {
      ...{ line, received_ms, ended_ms, output_tokens, replay },
      id: String(request["request_id"]),
      session: typeof session === "string" ? session : undefined,
    },
  ];
}

function objectIn(fields: Fields, name: string): Fields | undefined {
  const value = fields[name];
  return typeof value === "object" && value !== null ? (value as Fields) : undefined;
}

function numberIn(fields: Fields, name: string, line: number): number {
  const value = fields[name];
  if (typeof value === "number" && value >= 0) return value;
  throw new TraceError(line, `${name} must be a number from 0 on, not ${shownValue(value)}`);
}
