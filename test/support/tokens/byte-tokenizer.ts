/** A tokenizer whose tokens are the 256 bytes and one end token: texts in tests stay readable. */
import type { EncodeOptions, Tokenizer } from "../../../llm/tokens/tokenizer.ts";

export const END_TOKEN = 256;

const encoder = new TextEncoder();

export const byteTokenizer: Tokenizer = {
  vocab_size: 257,
  special: {
    bos: undefined,
    eos: END_TOKEN,
    eot: undefined,
    unk: undefined,
    pad: undefined,
    sep: undefined,
    eog: [END_TOKEN],
  },
  add_bos: false,
  add_eos: false,
  add_space_prefix: false,
  control_texts: [],
  encode: (text: string, _options: EncodeOptions) => Uint32Array.from(encoder.encode(text)),
  tokenBytes: (token: number) =>
    token === END_TOKEN ? encoder.encode("<end>") : Uint8Array.of(token),
  asciiText: (_token: number): string | undefined => undefined,
  isControl: (token: number) => token === END_TOKEN,
  isEog: (token: number) => token === END_TOKEN,
};
