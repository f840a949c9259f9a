/**
 * Tokens of texts, made before they are asked for. Preparing a request takes no breath: it is tried
 * with a tokenizer that stops at the first long text that has no tokens yet, or when short texts
 * are as long together. Those tokens are made in slices, with other requests in between, and it is
 * tried again.
 */
import { encodeSliced } from "../../../llm/tokens/slices.ts";
import type { EncodeOptions, Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { Clock } from "../../../runtime/capabilities.ts";

/** Below, a text takes less time than anybody notices. In UTF-16 units. */
export const LONG_TEXT = 32_768;

/** Thrown: a text that has no tokens yet. */
class Wanted {
  constructor(
    readonly tokenizer: Tokenizer,
    readonly text: string,
    readonly options: EncodeOptions,
    readonly tokens_max: number,
  ) {}
}

type Made = Pick<Wanted, "tokenizer" | "text" | "options"> & { readonly tokens: Uint32Array };

/** Where the time of a step is counted: `from_ms` to now, on the clock's scale. */
type StageTimes = { stage(name: string, from_ms: number): void };

/** The tokens of one request's texts. */
export class TokensAhead {
  readonly #clock: Clock;
  readonly #metrics: StageTimes;
  readonly #made: Made[] = [];
  /** Of this try: texts that it has asked for, and units of those that had no tokens before. */
  #asked = 0;
  #spent = 0;

  constructor(clock: Clock, metrics: StageTimes) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /**
   * The same tokens, or a stop. Of a long text that has more than `tokens_max` those of its
   * beginning, more than `tokens_max` as well.
   */
  of(tokenizer: Tokenizer, tokens_max: number): Tokenizer {
    const encode = (text: string, options: EncodeOptions): Uint32Array => {
      // Every try asks for the same texts in the same order.
      const made = this.#made[this.#asked];
      if (made !== undefined && isSame(made, tokenizer, text, options)) {
        this.#asked += 1;
        return made.tokens;
      }
      this.#made.length = this.#asked;
      this.#spent += text.length;
      if (this.#spent >= LONG_TEXT) throw new Wanted(tokenizer, text, options, tokens_max);
      const tokens = tokenizer.encode(text, options);
      this.#asked = this.#made.push({ tokenizer, text, options, tokens });
      return tokens;
    };
    return new Proxy(tokenizer, {
      get: (target, name) => {
        if (name === "encode") return encode;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** What `prepare` gives, tried until all its texts have tokens. Rejects as it throws. */
  async run<T>(prepare: () => T): Promise<T> {
    for (;;) {
      this.#asked = 0;
      this.#spent = 0;
      try {
        const prepared = prepare();
        // Who holds the tokenizer from here on holds none of the texts.
        this.#made.length = 0;
        return prepared;
      } catch (wanted) {
        if (!(wanted instanceof Wanted)) throw wanted;
        const from_ms = this.#clock.now_ms();
        const tokens = await inSlices(wanted, this.#clock);
        this.#metrics.stage("tokenize", from_ms);
        const { tokenizer, text, options } = wanted;
        this.#made.push({ tokenizer, text, options, tokens });
      }
    }
  }
}

const isSame = (one: Made, tokenizer: Tokenizer, text: string, options: EncodeOptions): boolean =>
  one.tokenizer === tokenizer && isSameRecord(one.options, options) && one.text === text;

function isSameRecord<T extends object>(one: T, other: T): boolean {
  const names = Object.keys(one) as (keyof T)[];
  return (
    names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
  );
}

async function inSlices(wanted: Wanted, clock: Clock): Promise<Uint32Array> {
  const { tokenizer, text, options, tokens_max } = wanted;
  const slices = encodeSliced(tokenizer, text, options, { tokens_max });
  for (;;) {
    await new Promise<void>((resolve) => clock.defer(resolve));
    const step = slices.next();
    if (step.done === true) return step.value;
  }
}
