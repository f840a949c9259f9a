/**
 * The log of a batch's answers: a text line a record, appended by the one who runs the batch.
 *
 *   CHECKSUM {"n":LINE NUMBER,"ok":…,"usage":[…],"model":…} TAB LINE OF THE OUTPUT FILE
 *
 * The checksum is the CRC-32 of what follows it, in eight hex digits. A record that a crash cut in
 * two does not check, and is passed over: its line is asked again.
 */
import { type BatchUsage, noUsage } from "./batch-record.ts";

export type LineRecord = {
  readonly number: number;
  /** True: a line of the output file; false: of the error file. */
  readonly ok: boolean;
  readonly usage: BatchUsage;
  readonly model: string | null;
  /** One line of JSON. */
  readonly line: string;
};

const TAB = 0x09;
const SPACE = 0x20;
const CHECKSUM_BYTES = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

type Head = {
  readonly n: number;
  readonly ok: boolean;
  readonly m: string | null;
  readonly u: number[];
};

export function recordBytes({ number, ok, usage, model, line }: LineRecord): Uint8Array {
  const { input_tokens, cached_tokens, output_tokens, reasoning_tokens } = usage;
  const u = [input_tokens, cached_tokens, output_tokens, reasoning_tokens];
  const head: Head = { n: number, ok, m: model, u };
  const content = encoder.encode(`${JSON.stringify(head)}\t${line}`);
  return Buffer.concat([Buffer.from(`${checksum(content)} `), content, Buffer.of(0x0a)]);
}

/** `bytes`: one line of a log. Undefined: it is no record, or not a whole one. */
export function recordOf(bytes: Uint8Array): LineRecord | undefined {
  if (bytes[CHECKSUM_BYTES] !== SPACE) return undefined;
  const content = bytes.subarray(CHECKSUM_BYTES + 1);
  if (decoder.decode(bytes.subarray(0, CHECKSUM_BYTES)) !== checksum(content)) return undefined;
  const tab = content.indexOf(TAB);
  const head = JSON.parse(decoder.decode(content.subarray(0, tab))) as Head;
  const [input_tokens = 0, cached_tokens = 0, output_tokens = 0, reasoning_tokens = 0] = head.u;
  return {
    number: head.n,
    ok: head.ok,
    model: head.m,
    usage: { ...noUsage, input_tokens, cached_tokens, output_tokens, reasoning_tokens },
    line: decoder.decode(content.subarray(tab + 1)),
  };
}

const checksum = (bytes: Uint8Array): string =>
  Bun.hash.crc32(bytes).toString(16).padStart(CHECKSUM_BYTES, "0");
