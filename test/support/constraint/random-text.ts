/** Random texts that a grammar allows, drawn unit by unit through the matcher that engines use. */
import type { Compiled } from "../../../actors/engine/grammar/compiled.ts";
import { GrammarSet } from "../../../actors/engine/grammar/grammar-set.ts";
import { inAlphabet } from "../../../actors/engine/grammar/grammar-vocab.ts";
import type { Lane } from "../../../actors/engine/grammar/lane.ts";
import { type ConstraintFormat, constraintText } from "../../../llm/constraint/constraint.ts";
import { BYTE_TO_CODE_POINT } from "../../../llm/tokens/vocab/byte-alphabet.ts";

const ASCII = [...Array(95).keys()].map((i) => String.fromCharCode(32 + i));
const CHARS = [...ASCII, "\n", "\t", "é", "ö", "ß", "計", "🎉", "｜", "▁"];
/** As vocabularies have them: more than one character, across the ends of strings too. */
const PAIRS = [
  '""',
  '":"',
  '","',
  '"a',
  '"abc"',
  "ab",
  " the",
  "éé",
  'a"',
  '","a',
  'n"',
  "\\n",
  '"]',
];
/** Units of texts, and the last one ends a text. */
const UNITS = [...CHARS, ...PAIRS, "<eos>"];
const EOS = UNITS.length - 1;
/** Behind the units a token a byte. */
const FIRST_BYTE = UNITS.length;
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
  readonly #set: GrammarSet;
  readonly #compiled: Compiled;

  private constructor(set: GrammarSet, compiled: Compiled) {
    this.#set = set;
    this.#compiled = compiled;
  }

  /** EBNF, or a structural tag's format. */
  static async of(grammar: string | ConstraintFormat): Promise<TextGrammar> {
    opened ??= openSet();
    const set = await opened;
    const format = typeof grammar === "string" ? ({ type: "grammar", grammar } as const) : grammar;
    return new TextGrammar(set, await set.compile(constraintText({ format })));
  }

  dispose(): void {
    this.#compiled.grammar?.dispose();
  }

  /** Byte by byte. */
  async accepts(text: string): Promise<boolean> {
    const lane = await this.#set.lane(this.#compiled);
    try {
      for (const byte of new TextEncoder().encode(text)) {
        const token = FIRST_BYTE + byte;
        if (!this.#allowed(lane, [token]).includes(token)) return false;
        lane.push(token);
      }
      return this.#allowed(lane, [EOS]).includes(EOS);
    } finally {
      lane.close();
    }
  }

  /** Undefined: it did not end within `most` units. */
  async draw(random: Draw, most = 2_000): Promise<string | undefined> {
    const lane = await this.#set.lane(this.#compiled);
    try {
      let text = "";
      for (let i = 0; i < most; i++) {
        const allowed = this.#allowed(lane, UNITS.keys());
        if (allowed.length === 0) throw new Error(`nothing may follow ${JSON.stringify(text)}`);
        const closing = allowed.filter((unit) => CLOSERS.has(UNITS[unit]!) || unit === EOS);
        const among = closing.length > 0 && random() < 0.35 + i / most ? closing : allowed;
        const unit = among[Math.floor(random() * among.length)]!;
        if (unit === EOS) return text;
        lane.push(unit);
        text += UNITS[unit]!;
      }
      return undefined;
    } finally {
      lane.close();
    }
  }

  #allowed(lane: Lane, among: Iterable<number>): number[] {
    const mask = new Uint32Array(this.#set.words);
    if (!lane.mask(mask)) throw new Error("a token is masked wrongly");
    return [...among].filter((token) => ((mask[token >> 5]! >>> (token & 31)) & 1) === 1);
  }
}

let opened: Promise<GrammarSet> | undefined;

function openSet(): Promise<GrammarSet> {
  const bytes = Array.from(BYTE_TO_CODE_POINT, (code) => String.fromCharCode(code));
  const texts = [...UNITS.slice(0, EOS).map(inAlphabet), "", ...bytes];
  return GrammarSet.open({ texts, ends: [EOS], control: [] });
}
