/**
 * web-xgrammar: which tokens may come next in a text that keeps to a grammar, by WebAssembly.
 *
 * Its face gives a mask as a copy behind a promise, and of an error only a number. So this file
 * takes the WebAssembly memory as the library makes it, and reads masks and messages there. The
 * layouts are those of 0.1.27, which package.json names exactly.
 *
 * An error inside the library leaves its stack (64 KiB) as it is: `XGrammar.errors` counts them,
 * and whoever owns the thread replaces it.
 */
import {
  type CompiledGrammar,
  Grammar,
  GrammarCompiler,
  GrammarMatcher,
  TokenizerInfo,
} from "@mlc-ai/web-xgrammar";

/** The library refused a grammar; `message` is what it says, without its own file names. */
export class GrammarError extends Error {
  override readonly name = "GrammarError";
}

/** A vector of 32-bit numbers in the library's memory, by embind's own record of it. */
type NumberVector = { readonly $$: { readonly ptr: number }; delete(): void };
type MatcherHandle = {
  GetNextTokenBitmask(vocab_size: number): NumberVector;
  AcceptString(bytes: Uint8Array, debug: boolean): boolean;
  FindJumpForwardString(): string;
  Rollback(tokens: number): void;
};
type Instance = { readonly exports: Readonly<Record<string, unknown>> };
type Patched = { instantiate: (...args: unknown[]) => Promise<unknown> };

/** What the library prints before it gives up: `[FATAL] FILE:LINE: what is wrong`. */
const COMPLAINT = /^\[FATAL\] \S+?:\d+: /;

const handleOf = (matcher: GrammarMatcher): MatcherHandle =>
  (matcher as unknown as { readonly handle: MatcherHandle }).handle;

export class XGrammar {
  errors = 0;
  readonly #memory: WebAssembly.Memory;
  readonly #said: string[];

  private constructor(memory: WebAssembly.Memory, said: string[]) {
    this.#memory = memory;
    this.#said = said;
  }

  static #loaded: Promise<XGrammar> | undefined;

  /** One a thread. Rejects when the library is not as it was. */
  static load(): Promise<XGrammar> {
    XGrammar.#loaded ??= XGrammar.#load();
    return XGrammar.#loaded;
  }

  static async #load(): Promise<XGrammar> {
    const wasm = WebAssembly as unknown as Patched;
    const { instantiate } = wasm;
    const { error } = console;
    const said: string[] = [];
    let memory: WebAssembly.Memory | undefined;
    wasm.instantiate = async (...args) => {
      const made = await instantiate.apply(WebAssembly, args);
      const { exports } = ((made as { instance?: Instance }).instance ?? made) as Instance;
      memory ??= Object.values(exports).find((value) => value instanceof WebAssembly.Memory);
      return made;
    };
    console.error = (...texts: unknown[]) => said.push(texts.join(" "));
    try {
      (await Grammar.builtinJSONGrammar()).dispose();
    } finally {
      wasm.instantiate = instantiate;
      console.error = error;
    }
    if (memory === undefined) throw new Error("web-xgrammar makes its memory in another way");
    return new XGrammar(memory, said);
  }

  get memory_bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** `texts` in GPT-2's byte alphabet, "" for tokens that never come; `ends` end an answer. */
  async compiler(texts: readonly string[], ends: readonly number[]): Promise<GrammarCompiler> {
    const info = await TokenizerInfo.createTokenizerInfo(
      [...texts],
      "byte_level",
      false,
      undefined,
      [...ends],
    );
    // Its own cache has no bound.
    return await GrammarCompiler.createGrammarCompiler(info, false);
  }

  /** Length of a structural tag's grammar as text. Throws GrammarError. */
  async parsed(structural_tag: string): Promise<number> {
    const grammar = await this.#said_of(() => Grammar.fromStructuralTag(structural_tag));
    const { length } = grammar.toString();
    grammar.dispose();
    return length;
  }

  /** Throws GrammarError. */
  compile(compiler: GrammarCompiler, structural_tag: string): Promise<CompiledGrammar> {
    return this.#said_of(() => compiler.compileStructuralTag(structural_tag));
  }

  async matcher(grammar: CompiledGrammar): Promise<GrammarMatcher> {
    return await GrammarMatcher.createGrammarMatcher(grammar);
  }

  /**
   * A bit a token, lowest first, for `take`, who gets it as it lies in the library's memory: it is
   * gone when `take` returns. `vocab_size`: as many texts as the compiler was given.
   */
  mask(matcher: GrammarMatcher, vocab_size: number, take: (words: Uint32Array) => void): void {
    const vector = handleOf(matcher).GetNextTokenBitmask(vocab_size);
    const words = new Uint32Array(this.#memory.buffer);
    const begin = words[vector.$$.ptr >>> 2]! >>> 2;
    const end = words[(vector.$$.ptr >>> 2) + 1]! >>> 2;
    if (end - begin !== (vocab_size + 31) >>> 5) {
      throw new Error("web-xgrammar lays vectors out in another way");
    }
    take(words.subarray(begin, end));
    vector.delete();
  }

  /** The same as if `bytes` had come, and as if they had not; false: they cannot come. */
  maskBehind(
    matcher: GrammarMatcher,
    bytes: Uint8Array,
    vocab_size: number,
    take: (words: Uint32Array) => void,
  ): boolean {
    if (!this.take(matcher, bytes)) return false;
    this.mask(matcher, vocab_size, take);
    this.back(matcher, 1);
    return true;
  }

  /** False: these bytes cannot come. */
  take(matcher: GrammarMatcher, bytes: Uint8Array): boolean {
    return handleOf(matcher).AcceptString(bytes, false);
  }

  /** As it was before the last `times` tokens or bytes that it took. */
  back(matcher: GrammarMatcher, times: number): void {
    if (times > 0) handleOf(matcher).Rollback(times);
  }

  /** The text that has to come, up to where something else may; "" where nothing has to. */
  forced(matcher: GrammarMatcher): string {
    const text = handleOf(matcher).FindJumpForwardString();
    const broken = text.indexOf("\ufffd"); // in the middle of a character
    return broken < 0 ? text : text.slice(0, broken);
  }

  async #said_of<Made>(make: () => Promise<Made>): Promise<Made> {
    this.#said.length = 0;
    try {
      return await make();
    } catch (error) {
      this.errors++;
      throw new GrammarError(this.#messageOf(error));
    }
  }

  /** C++ throws the address of a runtime_error: behind its vtable is its text's address. */
  #messageOf(error: unknown): string {
    if (typeof error === "number") {
      const bytes = new Uint8Array(this.#memory.buffer);
      const begin = new Uint32Array(this.#memory.buffer)[(error >>> 2) + 1] ?? 0;
      const end = bytes.indexOf(0, begin);
      return new TextDecoder().decode(bytes.slice(begin, Math.min(end, begin + 500)));
    }
    const complaint = this.#said.find((line) => COMPLAINT.test(line));
    if (complaint !== undefined) return complaint.replace(COMPLAINT, "").slice(0, 500);
    return error instanceof Error ? error.message : String(error);
  }
}
