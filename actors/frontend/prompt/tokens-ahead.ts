/**
 * Prepares long requests without blocking other ones, although preparing a request is one
 * synchronous call. The call is tried with a tokenizer that throws at the first long text without
 * tokens, or when short texts are as long together. The text is then tokenized in slices, with
 * other requests in between, and the call is tried again with these tokens at hand. Other work that
 * grows with the request (`once`) throws when it is done, and its result is at hand likewise.
 */
import { encodeSliced } from "../../../llm/tokens/slices.ts";
import type { EncodeOptions, Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { Clock } from "../../../runtime/capabilities.ts";

/** UTF-16 units. A shorter text is tokenized in one go, as it takes little time. */
export const LONG_TEXT = 32_768;

/** Thrown by the tokenizer: this text has no tokens yet. */
class Wanted {
  constructor(
    readonly tokenizer: Tokenizer,
    readonly text: string,
    readonly options: EncodeOptions,
    readonly tokens_max: number,
  ) {}
}

/** Thrown behind a part of the work: its result is at hand in the next try. */
class PartDone {}

type Made = Pick<Wanted, "tokenizer" | "text" | "options"> & { readonly tokens: Uint32Array };

/** Where the time of a step is counted: `from_ms` to now, on the clock's scale. */
type StageTimes = { stage(name: string, from_ms: number): void };

/** The tokens of one request's texts. */
export class TokensAhead {
  readonly #clock: Clock;
  readonly #metrics: StageTimes;
  readonly #made: Made[] = [];
  /** In this try: texts that were asked for, and UTF-16 units of those that had no tokens. */
  #asked = 0;
  #spent = 0;
  /** Results of `once`, in the order in which every try asks for them. */
  readonly #parts: unknown[] = [];
  #parts_asked = 0;

  constructor(clock: Clock, metrics: StageTimes) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /**
   * A tokenizer that gives the same tokens, or throws `Wanted`. For a long text with more than
   * `tokens_max` tokens it gives those of the beginning, which are more than `tokens_max` too.
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

  /** What `make` returns, in this try or in the next one. Throws as `make` does. */
  once<T>(make: () => T): T {
    const at = this.#parts_asked++;
    if (at < this.#parts.length) return this.#parts[at] as T;
    this.#parts.push(make());
    throw new PartDone();
  }

  /** Tries `prepare` until all its texts have tokens; returns its result. Rejects as it throws. */
  async run<T>(prepare: () => T | Promise<T>): Promise<T> {
    for (;;) {
      this.#asked = 0;
      this.#spent = 0;
      this.#parts_asked = 0;
      try {
        const prepared = await prepare();
        // The prepared request keeps the tokenizer, which must not keep the texts.
        this.#made.length = 0;
        this.#parts.length = 0;
        return prepared;
      } catch (wanted) {
        if (wanted instanceof PartDone) {
          await turn(this.#clock);
          continue;
        }
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

/** Other requests have their turns. */
const turn = (clock: Clock): Promise<void> => new Promise((resolve) => clock.defer(resolve));

async function inSlices(wanted: Wanted, clock: Clock): Promise<Uint32Array> {
  const { tokenizer, text, options, tokens_max } = wanted;
  const slices = encodeSliced(tokenizer, text, options, { tokens_max });
  for (;;) {
    await turn(clock);
    const step = slices.next();
    if (step.done === true) return step.value;
  }
}
