/**
 * GPT-2's byte alphabet: each byte value as a printable character, so that a byte-level vocabulary
 * is plain text. Source: `bytes_to_unicode` of openai/gpt-2, `src/encoder.py`.
 */

/** Code point that stands for each byte; all are below 0x800, so one or two bytes in UTF-8. */
export const BYTE_TO_CODE_POINT: Uint16Array = byteToCodePoint();

const CODE_POINT_TO_BYTE = new Int16Array(0x200).fill(-1);
BYTE_TO_CODE_POINT.forEach((code_point, byte) => {
  CODE_POINT_TO_BYTE[code_point] = byte;
});

function byteToCodePoint(): Uint16Array {
  const table = new Uint16Array(256);
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    table[byte] = printable ? byte : next++;
  }
  return table;
}

/** Bytes `[start, end)` in the alphabet, as UTF-8, written to `out`; returns how many it wrote. */
export function writeAlphabet(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number {
  let at = 0;
  for (let i = start; i < end; i++) {
    const code_point = BYTE_TO_CODE_POINT[bytes[i]!]!;
    if (code_point < 0x80) {
      out[at++] = code_point;
    } else {
      out[at++] = 0xc0 | (code_point >> 6);
      out[at++] = 0x80 | (code_point & 0x3f);
    }
  }
  return at;
}

/** The way back, from UTF-8; undefined when there is a character that is not of the alphabet. */
export function readAlphabet(utf8: Uint8Array): Uint8Array | undefined {
  const bytes = new Uint8Array(utf8.length);
  let count = 0;
  for (let i = 0; i < utf8.length; i++) {
    const lead = utf8[i]!;
    // Two bytes are the longest that a character of the alphabet takes.
    const second = lead < 0x80 ? 0x80 : (utf8[++i] ?? 0);
    if ((lead >= 0x80 && (lead & 0xe0) !== 0xc0) || (second & 0xc0) !== 0x80) return undefined;
    const code_point = lead < 0x80 ? lead : ((lead & 0x1f) << 6) | (second & 0x3f);
    const byte = CODE_POINT_TO_BYTE[code_point] ?? -1;
    if (byte < 0) return undefined;
    bytes[count++] = byte;
  }
  return count === bytes.length ? bytes : bytes.subarray(0, count);
}

/** A method of Buffer that its declarations lack. */
type Latin1Slice = { latin1Slice(start: number, end: number): string };

const ascii = Buffer.alloc(64);

/** The same as text, when that is short and ASCII, as most is: no array is made on the way. */
export function readAscii(utf8: Uint8Array, start: number, end: number): string | undefined {
  let count = 0;
  for (let i = start; i < end; i++) {
    const lead = utf8[i]!;
    const code_point = lead < 0x80 ? lead : ((lead & 0x1f) << 6) | (utf8[++i]! & 0x3f);
    const byte = (lead & 0xe0) === 0xe0 ? -1 : (CODE_POINT_TO_BYTE[code_point] ?? -1);
    if (byte < 0 || byte >= 0x80 || count === ascii.length) return undefined;
    ascii[count++] = byte;
  }
  return (ascii as unknown as Latin1Slice).latin1Slice(0, count);
}
