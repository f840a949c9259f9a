/** Random texts that a grammar allows, drawn unit by unit through the matcher that engines use. */
import {
  type CompiledGrammar,
  Grammar,
  GrammarCompiler,
  GrammarMatcher,
  TokenizerInfo,
} from "@mlc-ai/web-xgrammar";

const ASCII = [...Array(95).keys()].map((i) => String.fromCharCode(32 + i));
/** Units of texts: single characters, and the last one ends a text. */
const UNITS = [...ASCII, "\n", "\t", "é", "ö", "ß", "計", "🎉", "｜", "▁", "<eos>"];
const EOS = UNITS.length - 1;
/** What ends strings, lists and tags: drawn often, so that texts end. */
const CLOSERS = new Set(['"', "}", "]", ")", "<", "/", ">", "|", "\n", ",", "`"]);

export type Draw = () => number;

/** A seeded source of numbers from 0 up to 1 (mulberry32). */
export function seeded(seed: number): Draw {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class TextGrammar {
  readonly #compiled: CompiledGrammar;

  private constructor(compiled: CompiledGrammar) {
    this.#compiled = compiled;
  }

  /** EBNF, or a structural tag's format. */
  static async of(grammar: string | object): Promise<TextGrammar> {
    compiler ??= await newCompiler();
    const parsed =
      typeof grammar === "string"
        ? await Grammar.fromEBNF(grammar)
        : await Grammar.fromStructuralTag({ type: "structural_tag", format: grammar } as never);
    const compiled = await compiler.compileGrammar(parsed);
    parsed.dispose();
    return new TextGrammar(compiled);
  }

  dispose(): void {
    this.#compiled.dispose();
  }

  async accepts(text: string): Promise<boolean> {
    const matcher = await GrammarMatcher.createGrammarMatcher(this.#compiled, [EOS]);
    try {
      return matcher._acceptString(text) && matcher.acceptToken(EOS);
    } finally {
      matcher.dispose();
    }
  }

  /** Undefined: it did not end within `most` units. */
  async draw(random: Draw, most = 2_000): Promise<string | undefined> {
    const matcher = await GrammarMatcher.createGrammarMatcher(this.#compiled, [EOS]);
    try {
      let text = "";
      for (let i = 0; i < most; i++) {
        const mask = await matcher.getNextTokenBitmask();
        const allowed: number[] = [];
        for (let unit = 0; unit < UNITS.length; unit++) {
          if (((mask[unit >> 5] ?? 0) >>> (unit & 31)) & 1) allowed.push(unit);
        }
        if (allowed.length === 0) throw new Error(`nothing may follow ${JSON.stringify(text)}`);
        const closing = allowed.filter((unit) => CLOSERS.has(UNITS[unit]!) || unit === EOS);
        const among = closing.length > 0 && random() < 0.35 + i / most ? closing : allowed;
        const unit = among[Math.floor(random() * among.length)]!;
        if (!matcher.acceptToken(unit)) throw new Error(`${UNITS[unit]} is masked wrongly`);
        if (unit === EOS) return text;
        text += UNITS[unit]!;
      }
      return undefined;
    } finally {
      matcher.dispose();
    }
  }
}

let compiler: GrammarCompiler | undefined;

async function newCompiler(): Promise<GrammarCompiler> {
  const info = await TokenizerInfo.createTokenizerInfo(UNITS, "raw", false, UNITS.length, [EOS]);
  return GrammarCompiler.createGrammarCompiler(info, false);
}
