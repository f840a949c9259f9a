import type { TokenDecoder } from "./tokenizer.ts";

/**
 * Tokens to text as the decoder `ByteFallback` of Hugging Face's `tokenizers`: a row of byte tokens
 * is text when all of it is UTF-8, else each of them is U+FFFD. So a row is held until it ends.
 */
export class ByteFallbackDecoder implements TokenDecoder {
  #row: number[] = [];

  /** `textOf`: a token's spelling; undefined when there is no such token, which is passed over. */
  readonly #textOf: (token: number) => string | undefined;

  constructor(textOf: (token: number) => string | undefined) {
    this.#textOf = textOf;
  }

  push(token: number): string {
    const text = this.#textOf(token);
    if (text === undefined) return "";
    const byte = byteOfToken(text);
    if (byte === undefined) return this.flush() + text;
    this.#row.push(byte);
    return "";
  }

  flush(): string {
    const text = rowText(this.#row);
    this.#row = [];
    return text;
  }

  get whole(): boolean {
    return this.#row.length === 0;
  }
}

function rowText(row: readonly number[]): string {
  try {
    return strict.decode(Uint8Array.from(row));
  } catch {
    return "\ufffd".repeat(row.length);
  }
}

/** Tokens with each row of byte tokens as one text, for decoders that take them as they come. */
export function joinRows(tokens: readonly string[]): string[] {
  const out: string[] = [];
  let row: number[] = [];
  for (const token of [...tokens, undefined]) {
    const byte = token === undefined ? undefined : byteOfToken(token);
    if (byte !== undefined) {
      row.push(byte);
      continue;
    }
    if (row.length > 0) out.push(rowText(row));
    if (token !== undefined) out.push(token);
    row = [];
  }
  return out;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const BYTE = /^<0x([0-9A-Fa-f]{2})>$/;

/** `<0x0A>` → 10; undefined for a token that stands for no byte. */
export function byteOfToken(text: string): number | undefined {
  if (text.length !== 6) return undefined;
  const found = BYTE.exec(text);
  return found === null ? undefined : Number.parseInt(found[1]!, 16);
}
