/** How an engine keeps answers to grammars; one implementation has threads, one has not. */
import type { EngineRefusal } from "../engine.ts";

export interface Grammars {
  /**
   * Compiles the text of a constraint (llm/constraint/constraint.ts). `done` is called once, and at
   * once when it is known: a refusal, or undefined when answers can be opened.
   */
  compile(text: string, done: (refusal: EngineRefusal | undefined) => void): void;
  /** The masks of one answer. `changed` is called when a mask has come that was not there. */
  open(text: string, changed: () => void): Masks;
  close(): Promise<void>;
}

export interface Masks {
  /**
   * Which tokens may come behind those that were pushed: a bit a token, lowest first, good until
   * the next push. "late": it is being made. "failed": what was pushed does not keep to the grammar.
   */
  next(): Uint32Array | "late" | "failed";
  push(token: number): void;
  close(): void;
}
