import type { TokenDecoder } from "./tokenizer.ts";

/**
 * Tokens to text as the decoder `ByteFallback` of Hugging Face's `tokenizers`: a row of byte tokens
 * is text when all of it is UTF-8, else each of them is U+FFFD. So a row is held until it ends.
 */
export class ByteFallbackDecoder implements TokenDecoder {
  private row: number[] = [];

  /** `textOf`: a token's spelling; undefined when there is no such token, which is passed over. */
  constructor(private readonly textOf: (token: number) => string | undefined) {}

  push(token: number): string {
    const text = this.textOf(token);
    if (text === undefined) return "";
    const byte = byteOfToken(text);
    if (byte === undefined) return this.flush() + text;
    this.row.push(byte);
    return "";
  }

  flush(): string {
    if (this.row.length === 0) return "";
    const bytes = Uint8Array.from(this.row);
    this.row = [];
    try {
      return strict.decode(bytes);
    } catch {
      return "\ufffd".repeat(bytes.length);
    }
  }

  get whole(): boolean {
    return this.row.length === 0;
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const BYTE = /^<0x([0-9A-Fa-f]{2})>$/;

/** `<0x0A>` → 10; undefined for a token that stands for no byte. */
export function byteOfToken(text: string): number | undefined {
  if (text.length !== 6) return undefined;
  const found = BYTE.exec(text);
  return found === null ? undefined : Number.parseInt(found[1]!, 16);
}
