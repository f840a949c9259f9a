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
 *   dynamo            request traces, Dynamo's and our own: see dynamo-rows.ts
 *
 * Field names and aliases are those of NVIDIA Dynamo's readers (lib/data-gen, mooncake.rs).
 */

import { dynamoRows, isDynamoTrace } from "./dynamo-rows.ts";
import { type Fields, shownValue, TraceError, type TraceRow, traceRows } from "./trace-rows.ts";

const TIMES = ["timestamp", "created_time"] as const;
const DELAYS = ["delay", "delay_ms"] as const;

export const traceFormats = ["mooncake", "mooncake-delta", "agentic_mooncake", "dynamo"] as const;
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

/** Throws TraceError that names the line, also for an empty trace. */
export function readTrace(
  text: string,
  trace_block_size: number,
  given_format?: TraceFormat,
): readonly TraceRequest[] {
  const read = traceRows(text);
  if (read.length === 0) throw new TraceError(1, "the trace has no requests");
  const format = given_format ?? formatOf(read);
  const rows = format === "dynamo" ? dynamoRows(read).rows : read;
  const requests = new Array<TraceRequest>(rows.length);
  const reader = new Reader(trace_block_size);
  // Who waits for others names earlier lines; turns of a session are in the order of their times.
  const order = format === "agentic_mooncake" ? rows.keys() : inTime(rows);
  for (const at of order) requests[at] = reader.read(rows[at]!, format, at, requests);
  return requests;
}

/** Tokens that a hash of the trace stands for, where it says so itself; throws TraceError. */
export function traceBlockSize(text: string): number | undefined {
  const rows = traceRows(text);
  return isDynamoTrace(rows) ? dynamoRows(rows).block_size : undefined;
}

/** The first row may be a plain one: any dependency says what the file is. */
function formatOf(rows: readonly TraceRow[]): TraceFormat {
  if (isDynamoTrace(rows)) return "dynamo";
  const waits = ({ fields }: TraceRow) => "wait_for" in fields || "tool_wait_ms" in fields;
  return rows.some(waits) ? "agentic_mooncake" : "mooncake";
}

/** Positions. A turn with a delay, or without a time, stays behind the one before it. */
function inTime(rows: readonly TraceRow[]): Iterable<number> {
  const last_of_session = new Map<unknown, number>();
  const times_ms = rows.map(({ fields, line }) => {
    const session = fields["session_id"];
    const last_ms = session === undefined ? undefined : last_of_session.get(session);
    const own_ms = optionalNumber(fields, TIMES, line);
    const follows = last_ms !== undefined && firstOf(fields, DELAYS) !== undefined;
    const time_ms = (follows ? last_ms : own_ms) ?? last_ms ?? 0;
    if (session !== undefined) last_of_session.set(session, time_ms);
    return time_ms;
  });
  return [...rows.keys()].sort((a, b) => times_ms[a]! - times_ms[b]!);
}

/** What the rows before left behind. */
class Reader {
  readonly #by_id = new Map<string, number>();
  readonly #last_of_session = new Map<string, Turn>();
  readonly #pieces = new DeltaPrompts();
  readonly #numbers = new Map<HashId, number>();

  readonly #block_size: number;

  constructor(block_size: number) {
    this.#block_size = block_size;
  }

  /** `at`: its position among `requests`, of which those that were read before are there. */
  read(
    { fields, line }: TraceRow,
    format: TraceFormat,
    at: number,
    requests: readonly TraceRequest[],
  ): TraceRequest {
    const timestamp = optionalNumber(fields, TIMES, line);
    const delay = optionalNumber(fields, DELAYS, line);
    const session = optionalText(fields, "session_id", line);
    const id = optionalText(fields, "request_id", line) ?? `line ${line}`;
    if (this.#by_id.has(id)) throw new TraceError(line, `request_id ${id} is there twice`);
    const last = session === undefined ? undefined : this.#last_of_session.get(session);
    const follows = last !== undefined && format !== "agentic_mooncake";
    const tool_wait_ms = optionalNumber(fields, ["tool_wait_ms"], line) ?? 0;
    const after = follows ? [last.at] : this.#dependencies(fields, line);
    if (timestamp === undefined && after.length === 0 && format === "mooncake") {
      if (session === undefined) throw new TraceError(line, "timestamp is missing");
    }
    const gap_ms = follows
      ? (timestamp ?? 0) - (requests[last.at]?.arrival_ms ?? last.stamp_ms)
      : 0;
    const delay_ms = (delay ?? (follows ? Math.max(0, gap_ms) : 0)) + tool_wait_ms;
    const output_length = count(fields, ["output_length", "output_tokens"], line, 0);
    const shape = {
      input_length: count(fields, ["input_length", "input_tokens"], line, 1),
      hash_ids: hashIds(fields, line).map((id) => this.#numberOf(id)),
    };
    const needed = Math.ceil(shape.input_length / this.#block_size);
    if (shape.hash_ids.length !== needed) {
      const has = `${shape.hash_ids.length} hash_ids for input_length ${shape.input_length}`;
      const rule = `in blocks of ${this.#block_size} tokens it has ${needed}`;
      const advice = "--trace-block-size says how many tokens one id stands for";
      throw new TraceError(line, `${has}: ${rule} (${advice})`);
    }
    const delta = format === "mooncake-delta" && session !== undefined;
    const prompt = delta
      ? this.#pieces.add(session, shape, output_length, this.#block_size)
      : shape;
    this.#by_id.set(id, at);
    if (session !== undefined) {
      this.#last_of_session.set(session, { at, stamp_ms: timestamp ?? 0 });
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

  /** From 0 in order of appearance: whatever the trace calls a block, 32 bits tell it apart. */
  #numberOf(id: HashId): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(id, number);
    return number;
  }

  #dependencies(fields: Fields, line: number): readonly number[] {
    const value = fields["wait_for"] ?? [];
    if (!Array.isArray(value)) throw new TraceError(line, "wait_for must be a list of request_ids");
    return value.map((id) => {
      const at = isName(id) ? this.#by_id.get(String(id)) : undefined;
      if (at === undefined) {
        throw new TraceError(line, `wait_for names ${shownValue(id)}, which no earlier line has`);
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
  readonly #sessions = new Map<string, Piece[]>();
  readonly #names = new Map<string, number>();
  #answers = 0;

  add(session: string, delta: Shape, output_length: number, block_size: number): Shape {
    const pieces = this.#sessions.get(session) ?? [];
    this.#sessions.set(session, pieces);
    let left = delta.input_length;
    for (const id of delta.hash_ids) {
      const tokens = Math.min(block_size, left);
      if (tokens > 0) pieces.push({ name: `h${id}`, tokens });
      left -= tokens;
    }
    if (left > 0) pieces.push({ name: `rest ${session} ${pieces.length}`, tokens: left });
    const shape = this.#blocksOf(pieces, block_size);
    if (output_length > 0)
      pieces.push({ name: `answer ${this.#answers++}`, tokens: output_length });
    return shape;
  }

  #blocksOf(pieces: readonly Piece[], block_size: number): Shape {
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
          hash_ids.push(this.#nameOf(parts));
          parts = "";
        }
      }
    }
    if (parts !== "") hash_ids.push(this.#nameOf(parts));
    return { input_length, hash_ids };
  }

  #nameOf(parts: string): number {
    let name = this.#names.get(parts);
    if (name === undefined) {
      name = this.#names.size;
      this.#names.set(parts, name);
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
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number) && number >= 0) return number;
  throw new TraceError(line, `${names[0]} must be a number from 0 on, not ${shownValue(value)}`);
}

const isName = (value: unknown): value is string | number | bigint =>
  typeof value === "string" || typeof value === "number" || typeof value === "bigint";

function optionalText(fields: Fields, name: string, line: number): string | undefined {
  const value = firstOf(fields, [name]);
  if (value === undefined) return undefined;
  if (isName(value)) return String(value);
  throw new TraceError(line, `${name} must be text, not ${shownValue(value)}`);
}

function count(fields: Fields, names: readonly string[], line: number, least: number): number {
  const value = firstOf(fields, names);
  if (value === undefined) throw new TraceError(line, `${names[0]} is missing`);
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  const problem = `must be a whole number from ${least} on, not ${shownValue(value)}`;
  throw new TraceError(line, `${names[0]} ${problem}`);
}

/** The number 1 and the text "1" are two ids. */
type HashId = number | bigint | string;

const INT64_LEAST = -(2n ** 63n);
const UINT64_MOST = 2n ** 64n - 1n;

function isHashId(id: unknown): id is HashId {
  if (typeof id === "bigint") return id >= INT64_LEAST && id <= UINT64_MOST;
  return typeof id === "string" || Number.isSafeInteger(id);
}

function hashIds(fields: Fields, line: number): readonly HashId[] {
  const value = fields["hash_ids"];
  if (value === undefined) throw new TraceError(line, "hash_ids is missing");
  const kinds = "whole numbers of 64 bits or texts";
  if (!Array.isArray(value)) {
    throw new TraceError(line, `hash_ids must be a list of ${kinds}, not ${shownValue(value)}`);
  }
  const bad = value.find((id) => !isHashId(id));
  if (bad === undefined) return value as readonly HashId[];
  throw new TraceError(line, `hash_ids must be ${kinds}, not ${shownValue(bad)}`);
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
