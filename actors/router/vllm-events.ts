/**
 * Cache events as vLLM publishes them over ZMQ (vllm/distributed/kv_events.py): three frames,
 * topic,
 * sequence number in 8 bytes big endian, and a msgpack batch of events. Versions differ: the batch
 * and its events are arrays in older ones and maps in newer ones; both are read, and fields that
 * are
 * not known are passed over, as newer versions add some.
 *
 * Decoding only. vLLM's block hashes are its own: whoever feeds an index from them has to compute
 * ours from the tokens.
 */
import { decode } from "@msgpack/msgpack";
import type { KvTier } from "../../llm/blocks/kv-event.ts";

export type VllmEvent =
  | {
      readonly kind: "stored";
      readonly block_hashes: readonly bigint[];
      readonly parent_hash: bigint | undefined;
      /** Of all blocks, one after the other. */
      readonly token_ids: Uint32Array;
      readonly block_size: number;
      readonly lora_name: string | undefined;
      /** The hashes depend on more than tokens and adapter: images, a cache salt. */
      readonly has_extra_keys: boolean;
      readonly tier: KvTier;
      /** Of a model with several kinds of layers; 0 else. */
      readonly group: number;
    }
  | {
      readonly kind: "removed";
      readonly block_hashes: readonly bigint[];
      readonly tier: KvTier;
      readonly group: number;
    }
  | { readonly kind: "cleared" };

export type VllmMessage =
  | {
      readonly kind: "batch";
      /** One more than the message's before, from 0; a gap is a loss. */
      readonly sequence: number;
      readonly published_s: number;
      readonly dp_rank: number;
      readonly events: readonly VllmEvent[];
      /** Events of types that are not known here. */
      readonly unknown_events: number;
    }
  /** Ends the answer to a replay request. */
  | { readonly kind: "end" }
  | { readonly kind: "bad"; readonly message: string };

/** Not for callers: everything bad about a message is told by `decodeVllmMessage`'s result. */
class BadMessage extends Error {
  readonly code = "bad_message";
}

const END_SEQUENCE = 0xffff_ffff_ffff_ffffn;
/** A few bytes may claim gigabytes; no list of a batch is longer than a context of tokens. */
const limits = {
  useBigInt64: true,
  maxArrayLength: 4_194_304,
  maxMapLength: 65_536,
  maxStrLength: 1_048_576,
  maxBinLength: 1_048_576,
  maxExtLength: 1_048_576,
};
const batchFields = ["ts", "events", "data_parallel_rank"];
const storedFields = [
  "type",
  "block_hashes",
  "parent_block_hash",
  "token_ids",
  "block_size",
  "lora_id",
  "medium",
  "lora_name",
  "extra_keys",
  "group_idx",
];
const removedFields = ["type", "block_hashes", "medium", "group_idx"];

/** Of a replay the frames are two, without a topic. Never throws. */
export function decodeVllmMessage(frames: readonly Uint8Array[]): VllmMessage {
  const payload = frames.at(-1);
  const number = frames.at(-2);
  if (payload === undefined || number === undefined || frames.length > 3) {
    return { kind: "bad", message: `${frames.length} frames instead of 3` };
  }
  if (number.length !== 8) {
    return { kind: "bad", message: `a sequence number of ${number.length} bytes instead of 8` };
  }
  const view = new DataView(number.buffer, number.byteOffset, number.byteLength);
  const sequence = view.getBigUint64(0);
  if (sequence === END_SEQUENCE) return { kind: "end" };
  try {
    return batchOf(Number(sequence), decode(payload, limits));
  } catch (error) {
    // The decoder throws what it likes at broken bytes.
    return { kind: "bad", message: error instanceof Error ? error.message : String(error) };
  }
}

function batchOf(sequence: number, value: unknown): VllmMessage {
  const field = fieldsOf(value, batchFields, "a batch");
  const listed = field("events");
  if (!Array.isArray(listed)) throw new BadMessage("a batch without a list of events");
  const events: VllmEvent[] = [];
  let unknown_events = 0;
  for (const each of listed) {
    const event = eventOf(each);
    if (event === undefined) unknown_events++;
    else events.push(event);
  }
  const dp_rank = wholeNumber(field("data_parallel_rank") ?? 0, "data_parallel_rank");
  const published_s = Number(field("ts"));
  return { kind: "batch", sequence, published_s, dp_rank, events, unknown_events };
}

function eventOf(value: unknown): VllmEvent | undefined {
  const type = fieldsOf(value, ["type"], "an event")("type");
  switch (type) {
    case "BlockStored":
      return storedOf(fieldsOf(value, storedFields, type));
    case "BlockRemoved": {
      const field = fieldsOf(value, removedFields, type);
      const block_hashes = hashesOf(field("block_hashes"));
      return { kind: "removed", block_hashes, ...placeOf(field) };
    }
    case "AllBlocksCleared":
      return { kind: "cleared" };
    default:
      return undefined;
  }
}

type Field = (name: string) => unknown;

function storedOf(field: Field): VllmEvent {
  const block_hashes = hashesOf(field("block_hashes"));
  const block_size = wholeNumber(field("block_size"), "block_size");
  const token_ids = tokensOf(field("token_ids"));
  if (block_size === 0 || token_ids.length !== block_size * block_hashes.length) {
    const blocks = `${block_hashes.length} blocks of ${block_size}`;
    throw new BadMessage(`BlockStored: ${token_ids.length} tokens for ${blocks}`);
  }
  const parent = field("parent_block_hash") ?? undefined;
  const name = field("lora_name");
  const extra = field("extra_keys");
  return {
    kind: "stored",
    block_hashes,
    parent_hash: parent === undefined ? undefined : hashOf(parent),
    token_ids,
    block_size,
    lora_name: typeof name === "string" ? name : undefined,
    has_extra_keys: Array.isArray(extra) && extra.some((keys) => keys !== null),
    ...placeOf(field),
  };
}

function placeOf(field: Field): { tier: KvTier; group: number } {
  const group = wholeNumber(field("group_idx") ?? 0, "group_idx");
  return { tier: tierOf(field("medium")), group };
}

/** vLLM says nothing for the device in older versions. */
function tierOf(medium: unknown): KvTier {
  if (medium === undefined || medium === null) return "device";
  switch (String(medium).toUpperCase()) {
    case "GPU":
      return "device";
    case "CPU":
    case "CPU_PINNED":
    case "CPU_TIER1":
    case "CPU_TIER2":
      return "host";
    case "DISK":
    case "NVME":
    case "FS":
      return "disk";
    default:
      return "external";
  }
}

/** By name of a map, by place of an array; absent ones at the end are undefined. */
function fieldsOf(value: unknown, names: readonly string[], what: string): Field {
  if (Array.isArray(value)) {
    const row: readonly unknown[] = value;
    return (name) => row[names.indexOf(name)];
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) {
    throw new BadMessage(`${what} is neither an array nor a map`);
  }
  const entries = new Map(Object.entries(value));
  return (name) => entries.get(name);
}

function hashesOf(value: unknown): bigint[] {
  if (!Array.isArray(value)) throw new BadMessage("block_hashes is no list");
  return value.map(hashOf);
}

/** As u64: signed ones are the same bits, of longer ones vLLM itself takes the last 8 bytes. */
function hashOf(value: unknown): bigint {
  if (typeof value === "bigint") return BigInt.asUintN(64, value);
  if (typeof value === "number" && Number.isInteger(value))
    return BigInt.asUintN(64, BigInt(value));
  if (value instanceof Uint8Array && value.length >= 8) {
    return new DataView(value.buffer, value.byteOffset + value.length - 8, 8).getBigUint64(0);
  }
  throw new BadMessage("a block hash that is neither a number nor bytes");
}

function tokensOf(value: unknown): Uint32Array {
  if (!Array.isArray(value)) throw new BadMessage("token_ids is no list");
  const tokens = new Uint32Array(value.length);
  for (let i = 0; i < tokens.length; i++) tokens[i] = wholeNumber(value[i], "a token");
  return tokens;
}

function wholeNumber(value: unknown, what: string): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0 && number < 2 ** 32) {
    return number;
  }
  throw new BadMessage(`${what} is no whole number`);
}
