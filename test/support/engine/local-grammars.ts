/**
 * Grammars on the event loop's own thread: for the simulator, which has one thread, and for tests.
 * A constraint that takes long holds everything up.
 */

import type { EngineRefusal } from "../../../actors/engine/engine.ts";
import type { Compiled } from "../../../actors/engine/grammar/compiled.ts";
import { GrammarSet, isRefusal } from "../../../actors/engine/grammar/grammar-set.ts";
import { grammarVocab } from "../../../actors/engine/grammar/grammar-vocab.ts";
import type { Grammars, Masks } from "../../../actors/engine/grammar/grammars.ts";
import type { Lane } from "../../../actors/engine/grammar/lane.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";

export class LocalGrammars implements Grammars {
  readonly #set: GrammarSet;
  /** In the order in which they came; a simulation has a few. */
  readonly #compiled = new Map<string, Compiled | EngineRefusal>();

  private constructor(set: GrammarSet) {
    this.#set = set;
  }

  static async open(tokenizer: Tokenizer): Promise<LocalGrammars> {
    const vocab = grammarVocab(tokenizer, tokenizer.vocab_size);
    return new LocalGrammars(await GrammarSet.open(vocab));
  }

  compile(text: string, done: (refusal: EngineRefusal | undefined) => void): void {
    const known = this.#compiled.get(text);
    if (known !== undefined) {
      done("code" in known ? known : undefined);
      return;
    }
    this.#set.compile(text).then(
      (compiled) => {
        this.#compiled.set(text, compiled);
        done(undefined);
      },
      (error: unknown) => {
        if (!isRefusal(error)) throw error;
        const message = `The grammar cannot be compiled: ${error.message}`;
        const refusal: EngineRefusal = { code: "bad_request", message };
        this.#compiled.set(text, refusal);
        done(refusal);
      },
    );
  }

  open(text: string, changed: () => void): Masks {
    const compiled = this.#compiled.get(text);
    if (compiled === undefined || "code" in compiled) throw new Error("it is not compiled");
    const words = new Uint32Array(this.#set.words);
    const early: number[] = [];
    let lane: Lane | undefined;
    let closed = false;
    void this.#set.lane(compiled).then((made) => {
      if (closed) {
        made.close();
        return;
      }
      lane = made;
      for (const token of early) lane.push(token);
      changed();
    });
    return {
      next: () => {
        if (lane === undefined) return "late";
        return lane.mask(words) ? words : "failed";
      },
      push: (token) => {
        if (lane === undefined) early.push(token);
        else lane.push(token);
      },
      close: () => {
        closed = true;
        lane?.close();
      },
    };
  }

  async close(): Promise<void> {}
}
