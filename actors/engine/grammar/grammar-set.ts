/**
 * Grammars of one vocabulary, compiled, and the answers that keep to them; for one thread.
 * Everything here takes the time it takes: see `threaded-grammars.ts` for who limits it.
 */
import type { GrammarCompiler } from "@mlc-ai/web-xgrammar";
import {
  ConstraintError,
  readConstraint,
  type Thinking,
} from "../../../llm/constraint/constraint.ts";
import { MARK, MOST_LIMITS, markText } from "../../../llm/constraint/schema/counted.ts";
import { GrammarSizeError } from "../../../llm/constraint/schema/rules.ts";
import { SchemaError } from "../../../llm/constraint/schema/schema-limits.ts";
import { literalsOf, structuralTag } from "../../../llm/constraint/structural-tag.ts";
import type { Compiled, Encode, Forced } from "./compiled.ts";
import { foldedTexts, tellsCharsApart } from "./folded-vocab.ts";
import { type GrammarVocab, inAlphabet } from "./grammar-vocab.ts";
import { Lane } from "./lane.ts";
import { TokenChars } from "./token-chars.ts";
import { GrammarError, XGrammar } from "./xgrammar.ts";

const ALL = 0xffffffff;
const MARK_BYTE = inAlphabet(MARK);

/** The constraint is at fault, and the message is for whoever wrote it. */
export function isRefusal(error: unknown): error is Error {
  const kinds = [ConstraintError, SchemaError, GrammarSizeError, GrammarError];
  return kinds.some((kind) => error instanceof kind);
}

export class GrammarSet {
  readonly vocab: GrammarVocab;
  readonly xgrammar: XGrammar;
  readonly encode: Encode | undefined;
  /** Over texts that do not tell all tokens apart. */
  readonly #folding: GrammarCompiler;
  /** Made with the first grammar that tells characters beyond ASCII apart. */
  #whole: Promise<GrammarCompiler> | undefined;
  #chars: TokenChars | undefined;
  #marked: readonly number[] | undefined;

  private constructor(
    vocab: GrammarVocab,
    xgrammar: XGrammar,
    folding: GrammarCompiler,
    encode: Encode | undefined,
  ) {
    this.vocab = vocab;
    this.xgrammar = xgrammar;
    this.encode = encode;
    this.#folding = folding;
  }

  static async open(vocab: GrammarVocab, encode?: Encode): Promise<GrammarSet> {
    const xgrammar = await XGrammar.load();
    const folding = await xgrammar.compiler(marked(foldedTexts(vocab)), vocab.ends);
    return new GrammarSet(vocab, xgrammar, folding, encode);
  }

  /** Tokens, filled up to whole words, and marks. */
  get size(): number {
    return this.words * 32 + MOST_LIMITS;
  }

  /** Made with the first constraint that has limits. */
  get chars(): TokenChars {
    this.#chars ??= new TokenChars(this.vocab.texts);
    return this.#chars;
  }

  /** Length of a mask. */
  get words(): number {
    return Math.ceil(this.vocab.texts.length / 32);
  }

  /** Throws ConstraintError and GrammarError. */
  async compile(text: string): Promise<Compiled> {
    const constraint = readConstraint(text);
    const { format, thinking } = constraint;
    const tag = structuralTag(constraint);
    const limits = tag?.limits ?? [];
    // Here, and not in the first mask, which an answer waits for.
    if (limits.length > 0) this.chars.openings(false);
    const literals = format === undefined ? undefined : literalsOf(constraint);
    const allowed = this.#allowed(literals, limits.length > 0);
    const isNarrow = (i: number) => allowed[i] !== ALL;
    const whole = tag !== undefined && tellsCharsApart(tag.text);
    const compiler = whole ? await this.#wholeCompiler() : this.#folding;
    return {
      grammar: tag && (await this.xgrammar.compile(compiler, tag.text)),
      limits,
      allowed,
      narrow: Uint32Array.from([...allowed.keys()].filter(isNarrow)),
      thinking:
        thinking === undefined ? undefined : { ...thinking, forced: this.#forced(thinking) },
    };
  }

  #wholeCompiler(): Promise<GrammarCompiler> {
    const { texts, ends } = this.vocab;
    this.#whole ??= this.xgrammar.compiler(marked(texts), ends);
    return this.#whole;
  }

  async lane(compiled: Compiled): Promise<Lane> {
    const { grammar } = compiled;
    const matcher = grammar === undefined ? undefined : await this.xgrammar.matcher(grammar);
    return new Lane(this, compiled, matcher);
  }

  #allowed(literals: string | undefined, has_limits: boolean): Uint32Array {
    const allowed = new Uint32Array(this.words).fill(ALL);
    const { texts, control } = this.vocab;
    const spare = texts.length & 31;
    if (spare > 0) allowed[allowed.length - 1] = 2 ** spare - 1;
    if (has_limits) {
      for (const token of this.#barred()) allowed[token >>> 5]! &= ~(1 << (token & 31));
    }
    if (literals === undefined) return allowed;
    const named = inAlphabet(literals);
    for (const token of control) {
      const text = texts[token]!;
      if (text === "" || !named.includes(text)) allowed[token >>> 5]! &= ~(1 << (token & 31));
    }
    return allowed;
  }

  /** Tokens that a mark would let in. */
  #barred(): readonly number[] {
    this.#marked ??= this.vocab.texts.flatMap((text, token) =>
      text.includes(MARK_BYTE) ? [token] : [],
    );
    return this.#marked;
  }

  #forced({ end }: Thinking): Forced {
    const written = inAlphabet(end);
    const tokens = Array.from<number | undefined>({ length: written.length });
    for (const [token, text] of this.vocab.texts.entries()) {
      if (text === "" || text.length > written.length) continue;
      for (let at = written.indexOf(text); at >= 0; at = written.indexOf(text, at + 1)) {
        const best = tokens[at];
        if (best === undefined || this.vocab.texts[best]!.length < text.length) tokens[at] = token;
      }
    }
    return { end: written, tokens };
  }
}

/** Behind the tokens, in words of their own, the marks of limits. */
function marked(texts: readonly string[]): string[] {
  const spare = (32 - (texts.length & 31)) & 31;
  const marks = Array.from({ length: MOST_LIMITS }, (_, number) => inAlphabet(markText(number)));
  return [...texts, ...new Array<string>(spare).fill(""), ...marks];
}
