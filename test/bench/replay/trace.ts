/**
 * Reads traces of requests: JSON, one object a line.
 *
 *   mooncake          timestamp (ms), input_length, output_length, hash_ids; rows that share a
 *                     session_id are turns of a closed loop: the first comes at its timestamp, each
 *                     later one `delay` ms (think time) after the answer before it, or, without a
 *                     delay, as long after it as their timestamps differ
 *   mooncake-delta    the same, but a later turn names only what is new: its prompt is the prompt
 *                     and the answer before it and then that
 *   agentic_mooncake  request_id, wait_for (ids of requests that must have ended), delay and
 *                     tool_wait_ms (both counted from then): branches and joins
 *
 * Field names and aliases are those of NVIDIA Dynamo's readers (lib/data-gen, mooncake.rs).
 */

export const traceFormats = ["mooncake", "mooncake-delta", "agentic_mooncake"] as const;
export type TraceFormat = (typeof traceFormats)[number];

export type TraceRequest = {
  readonly id: string;
  /** Not before this; undefined: only `after` counts. */
  readonly arrival_ms: number | undefined;
  /** Requests, by position in the trace, that must have ended `delay_ms` before it comes. */
  readonly after: readonly number[];
  readonly delay_ms: number;
  readonly input_length: number;
  readonly output_length: number;
  /** One a block of the trace's block size, the last one perhaps partly filled. */
  readonly hash_ids: readonly number[];
  readonly session: string | undefined;
  readonly strict_priority: number;
  readonly policy_class: string | undefined;
};

export class TraceError extends Error {
  readonly code = "bad_trace";
  constructor(
    readonly line: number,
    problem: string,
  ) {
    super(`line ${line}: ${problem}`);
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Throws TraceError that names the line, also for an empty trace. */
export function readTrace(
  text: string,
  trace_block_size: number,
  given_format?: TraceFormat,
): readonly TraceRequest[] {
  const requests: TraceRequest[] = [];
  const reader = new Reader(trace_block_size);
  let format = given_format;
  let line = 0;
  for (const row of text.split("\n")) {
    line++;
    if (row.trim() === "") continue;
    const fields = parsed(row, line);
    format ??= "wait_for" in fields || "tool_wait_ms" in fields ? "agentic_mooncake" : "mooncake";
    // A file may begin with plain rows; the first dependency says what it is.
    if (given_format === undefined && "wait_for" in fields) format = "agentic_mooncake";
    requests.push(reader.read(fields, line, format, requests));
  }
  if (requests.length === 0) throw new TraceError(1, "the trace has no requests");
  return requests;
}

function parsed(row: string, line: number): Fields {
  let value: unknown;
  try {
    value = JSON.parse(row);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new TraceError(line, `not JSON (${problem})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TraceError(line, "not a JSON object");
  }
  return value as Fields;
}

/** What the rows before left behind. */
class Reader {
  private readonly by_id = new Map<string, number>();
  private readonly last_of_session = new Map<string, Turn>();
  private readonly pieces = new DeltaPrompts();

  constructor(private readonly block_size: number) {}

  read(
    fields: Fields,
    line: number,
    format: TraceFormat,
    before: readonly TraceRequest[],
  ): TraceRequest {
    const timestamp = optionalNumber(fields, ["timestamp", "created_time"], line);
    const delay = optionalNumber(fields, ["delay", "delay_ms"], line);
    const session = optionalText(fields, "session_id", line);
    const id = optionalText(fields, "request_id", line) ?? `line ${line}`;
    if (this.by_id.has(id)) throw new TraceError(line, `request_id ${id} is there twice`);
    const last = session === undefined ? undefined : this.last_of_session.get(session);
    const follows = last !== undefined && format !== "agentic_mooncake";
    const tool_wait_ms = optionalNumber(fields, ["tool_wait_ms"], line) ?? 0;
    const after = follows ? [last.at] : this.dependencies(fields, line);
    if (timestamp === undefined && after.length === 0 && format === "mooncake") {
      if (session === undefined) throw new TraceError(line, "timestamp is missing");
    }
    const gap_ms = follows ? (timestamp ?? 0) - (before[last.at]?.arrival_ms ?? last.stamp_ms) : 0;
    const delay_ms = (delay ?? (follows ? Math.max(0, gap_ms) : 0)) + tool_wait_ms;
    const output_length = count(fields, ["output_length", "output_tokens"], line, 0);
    const shape = {
      input_length: count(fields, ["input_length", "input_tokens"], line, 1),
      hash_ids: hashIds(fields, line),
    };
    const needed = Math.ceil(shape.input_length / this.block_size);
    if (shape.hash_ids.length < Math.floor(shape.input_length / this.block_size)) {
      const has = `${shape.hash_ids.length} hash_ids for ${shape.input_length} tokens`;
      throw new TraceError(line, `${has}: blocks of ${this.block_size} need ${needed}`);
    }
    const delta = format === "mooncake-delta" && session !== undefined;
    const prompt = delta ? this.pieces.add(session, shape, output_length, this.block_size) : shape;
    this.by_id.set(id, before.length);
    if (session !== undefined) {
      this.last_of_session.set(session, { at: before.length, stamp_ms: timestamp ?? 0 });
    }
    return {
      id,
      arrival_ms: follows || after.length > 0 ? undefined : (timestamp ?? 0),
      after,
      delay_ms,
      ...prompt,
      output_length: Math.max(1, output_length),
      session,
      strict_priority: optionalNumber(fields, ["strict_priority"], line) ?? 0,
      policy_class: optionalText(fields, "policy_class", line),
    };
  }

  private dependencies(fields: Fields, line: number): readonly number[] {
    const value = fields["wait_for"] ?? [];
    if (!Array.isArray(value)) throw new TraceError(line, "wait_for must be a list of request_ids");
    return value.map((id) => {
      const at = typeof id === "string" ? this.by_id.get(id) : undefined;
      if (at === undefined) {
        throw new TraceError(
          line,
          `wait_for names ${JSON.stringify(id)}, which no earlier line has`,
        );
      }
      return at;
    });
  }
}

type Turn = { readonly at: number; readonly stamp_ms: number };
type Shape = { readonly input_length: number; readonly hash_ids: readonly number[] };
type Piece = { readonly name: string; readonly tokens: number };

/** Prompts that grow turn by turn: a block is named after the pieces of turns that lie in it. */
class DeltaPrompts {
  private readonly sessions = new Map<string, Piece[]>();
  private readonly names = new Map<string, number>();
  private answers = 0;

  add(session: string, delta: Shape, output_length: number, block_size: number): Shape {
    const pieces = this.sessions.get(session) ?? [];
    this.sessions.set(session, pieces);
    let left = delta.input_length;
    for (const id of delta.hash_ids) {
      const tokens = Math.min(block_size, left);
      if (tokens > 0) pieces.push({ name: `h${id}`, tokens });
      left -= tokens;
    }
    if (left > 0) pieces.push({ name: `rest ${session} ${pieces.length}`, tokens: left });
    const shape = this.blocksOf(pieces, block_size);
    if (output_length > 0) pieces.push({ name: `answer ${this.answers++}`, tokens: output_length });
    return shape;
  }

  private blocksOf(pieces: readonly Piece[], block_size: number): Shape {
    const hash_ids: number[] = [];
    let input_length = 0;
    let parts = "";
    for (const { name, tokens } of pieces) {
      for (let from = 0; from < tokens; ) {
        const taken = Math.min(tokens - from, block_size - (input_length % block_size));
        parts += `${name}+${from}:${taken};`;
        from += taken;
        input_length += taken;
        if (input_length % block_size === 0) {
          hash_ids.push(this.nameOf(parts));
          parts = "";
        }
      }
    }
    if (parts !== "") hash_ids.push(this.nameOf(parts));
    return { input_length, hash_ids };
  }

  private nameOf(parts: string): number {
    let name = this.names.get(parts);
    if (name === undefined) {
      name = this.names.size;
      this.names.set(parts, name);
    }
    return name;
  }
}

function firstOf(fields: Fields, names: readonly string[]): unknown {
  for (const name of names) {
    const value = fields[name];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

function optionalNumber(fields: Fields, names: readonly string[], line: number) {
  const value = firstOf(fields, names);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new TraceError(
    line,
    `${names[0]} must be a number from 0 on, not ${JSON.stringify(value)}`,
  );
}

function optionalText(fields: Fields, name: string, line: number): string | undefined {
  const value = firstOf(fields, [name]);
  if (value === undefined) return undefined;
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw new TraceError(line, `${name} must be text, not ${JSON.stringify(value)}`);
}

function count(fields: Fields, names: readonly string[], line: number, least: number): number {
  const value = firstOf(fields, names);
  if (value === undefined) throw new TraceError(line, `${names[0]} is missing`);
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  const problem = `must be a whole number from ${least} on, not ${JSON.stringify(value)}`;
  throw new TraceError(line, `${names[0]} ${problem}`);
}

function hashIds(fields: Fields, line: number): readonly number[] {
  const value = fields["hash_ids"];
  if (value === undefined) throw new TraceError(line, "hash_ids is missing");
  const good = Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
  if (!good) throw new TraceError(line, "hash_ids must be a list of whole numbers from 0 on");
  return value as readonly number[];
}

/** Strict priorities 0 to `classes` - 1, spread evenly and with no pattern in time. */
export function withPriorities(
  trace: readonly TraceRequest[],
  classes: number,
): readonly TraceRequest[] {
  return trace.map((request, i) => {
    // 32-bit golden ratio: neighbours get different classes.
    const spread = (Math.imul(i + 1, 0x9e37_79b1) >>> 8) % classes;
    return { ...request, strict_priority: spread };
  });
}
