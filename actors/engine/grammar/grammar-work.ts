/**
 * What a grammar thread does: compiles constraints and makes masks. Masks of a native engine go
 * straight into the engine's memory (native/masks/masks.c).
 */
import {
  type Constraint,
  constraintText,
  readConstraint,
} from "../../../llm/constraint/constraint.ts";
import { structuralTag } from "../../../llm/constraint/structural-tag.ts";
import { tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import { NativeMasks } from "../../../native/index.ts";
import type { Compiled } from "./compiled.ts";
import { GrammarSet, isRefusal } from "./grammar-set.ts";
import { encoderOf, grammarVocab } from "./grammar-vocab.ts";
import type { Lane } from "./lane.ts";
import { MaskWork } from "./mask-work.ts";
import type { FromThread, ThreadNative, ThreadVocab, ToThread } from "./thread-messages.ts";
import { GrammarError, XGrammar } from "./xgrammar.ts";

/** The text of a parsed grammar. A larger one takes seconds to compile, and gigabytes. */
const GRAMMAR_MOST = 512 * 1024;
/** The library's memory never shrinks. */
const MEMORY_MOST = 1024 ** 3;
const TOO_LARGE =
  `its grammar is longer than ${GRAMMAR_MOST / 1024} KiB: ` +
  "use smaller repeats, fewer alternatives or fewer properties";

/** Code that runs for the first time is slow: that is no fault of the first constraint. */
const WARM_UP: Constraint = { format: { type: "json_schema", json_schema: true } };

type Held = { readonly compiled: Compiled; users: number; kept: boolean };
type Open = { readonly lane: Lane; readonly held: Held };

export class GrammarWork {
  readonly #post: (message: FromThread) => void;
  #before: Promise<void> = Promise.resolve();
  #set: GrammarSet | undefined;
  #native: MaskWork | undefined;
  #words = new Uint32Array(0);
  readonly #held = new Map<string, Held>();
  readonly #open = new Map<number, Open>();

  /** `post` tells the thread's owner. */
  constructor(post: (message: FromThread) => void) {
    this.#post = post;
  }

  /** One message after the other, in the order they came. */
  take(message: ToThread): void {
    this.#before = this.#before.then(() => this.#take(message));
  }

  async #take(message: ToThread): Promise<void> {
    switch (message.kind) {
      case "start":
        return this.#start(message.vocab, message.native);
      case "compile":
        return this.#compile(message.text);
      case "drop":
        this.#drop(message.text);
        return;
      case "open":
        return this.#openLane(message.key, message.text, message.tokens);
      case "push":
        this.#open.get(message.key)?.lane.push(message.token);
        this.#say(message.key);
        return;
      case "close":
        this.#close(message.key);
    }
  }

  async #start(vocab: ThreadVocab | undefined, native: ThreadNative | undefined): Promise<void> {
    await (await XGrammar.load()).parsed(structuralTag(WARM_UP)!.text);
    if (vocab !== undefined) {
      const tokenizer = tokenizerFromBlob(vocab.tokenizer_blob);
      const known = grammarVocab(tokenizer, vocab.vocab_size);
      this.#set = await GrammarSet.open(known, encoderOf(tokenizer, known));
      this.#words = new Uint32Array(this.#set.words);
      const compiled = await this.#set.compile(constraintText(WARM_UP));
      const lane = await this.#set.lane(compiled);
      lane.mask(this.#words);
      lane.close();
      compiled.grammar?.dispose();
    }
    if (native !== undefined) {
      const masks = new NativeMasks(native.shim, native);
      const work = new MaskWork(masks, this.#words, (key) => this.#open.get(key)?.lane);
      this.#native = work;
      work.take();
      masks.watch(() => work.take());
    }
    this.#post({ kind: "started" });
  }

  async #compile(text: string): Promise<void> {
    const xgrammar = await XGrammar.load();
    let refusal: string | undefined;
    try {
      if (this.#set === undefined) await this.#parse(xgrammar, text);
      else if (!this.#held.has(text)) {
        const compiled = await this.#set.compile(text);
        if (!(await this.#begins(compiled))) {
          compiled.grammar?.dispose();
          throw new GrammarError("no text fits it, as its first rule has no end");
        }
        this.#held.set(text, { compiled, users: 0, kept: true });
      }
    } catch (error) {
      refusal = isRefusal(error) ? error.message : `the grammar library failed: ${String(error)}`;
    }
    const spoiled = xgrammar.errors > 0 || xgrammar.memory_bytes > MEMORY_MOST;
    this.#post({ kind: "compiled", refusal, spoiled });
  }

  /** Some token may come first, or the end. */
  async #begins(compiled: Compiled): Promise<boolean> {
    const set = this.#set!;
    // Of a vocabulary without ends, one that fits the empty text alone has no first token either.
    if (set.vocab.ends.length === 0) return true;
    const lane = await set.lane(compiled);
    const is_whole = lane.mask(this.#words);
    lane.close();
    return is_whole && this.#words.some((word) => word !== 0);
  }

  async #parse(xgrammar: XGrammar, text: string): Promise<void> {
    const tag = structuralTag(readConstraint(text));
    if (tag === undefined) return;
    if ((await xgrammar.parsed(tag.text)) > GRAMMAR_MOST) throw new GrammarError(TOO_LARGE);
  }

  #drop(text: string): void {
    const held = this.#held.get(text);
    if (held === undefined) return;
    this.#held.delete(text);
    held.kept = false;
    free(held);
  }

  async #openLane(key: number, text: string, tokens: readonly number[]): Promise<void> {
    if (this.#set === undefined) return;
    // A new thread's answers were compiled by the one before.
    let held = this.#held.get(text);
    if (held === undefined) {
      held = { compiled: await this.#set.compile(text), users: 0, kept: true };
      this.#held.set(text, held);
    }
    held.users++;
    const lane = await this.#set.lane(held.compiled);
    this.#open.set(key, { lane, held });
    for (const token of tokens) lane.push(token);
    if (this.#native === undefined) this.#say(key);
    else this.#native.opened(key);
  }

  #close(key: number): void {
    this.#native?.closed(key);
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    open.lane.close();
    open.held.users--;
    free(open.held);
  }

  #say(key: number): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const words = open.lane.mask(this.#words) ? this.#words : undefined;
    this.#post({ kind: "mask", key, count: open.lane.count, words });
  }
}

function free(held: Held): void {
  if (held.users === 0 && !held.kept) held.compiled.grammar?.dispose();
}
