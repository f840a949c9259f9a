/** What a grammar thread and the thread that owns it say to each other. */
import type { NativeLane, ShimSource } from "../../../native/index.ts";

export type ToThread =
  /** The first message. Without a vocabulary it only parses. */
  | { readonly kind: "start"; readonly vocab?: ThreadVocab; readonly native?: ThreadNative }
  | { readonly kind: "compile"; readonly text: string }
  /** Forgets a compiled text; answers that are open keep it. */
  | { readonly kind: "drop"; readonly text: string }
  /** An answer, whose tokens come here or, with a `native` engine, are read from its memory. */
  | {
      readonly kind: "open";
      readonly key: number;
      readonly text: string;
      readonly tokens: number[];
    }
  | { readonly kind: "push"; readonly key: number; readonly token: number }
  | { readonly kind: "close"; readonly key: number };

export type ThreadVocab = {
  /** A tokenizer as models' cards have it (llm/tokens/vocab/vocab-blob.ts). */
  readonly tokenizer_blob: Uint8Array;
  readonly vocab_size: number;
};

export type ThreadNative = NativeLane & { readonly shim: ShimSource };

export type FromThread =
  | { readonly kind: "started" }
  | {
      readonly kind: "compiled";
      /** What is wrong with the text; undefined: nothing. */
      readonly refusal: string | undefined;
      /** The library is not to be trusted any more. */
      readonly spoiled: boolean;
    }
  /** Behind `count` tokens; without words: they do not keep to the grammar. */
  | {
      readonly kind: "mask";
      readonly key: number;
      readonly count: number;
      readonly words: Uint32Array | undefined;
    };
