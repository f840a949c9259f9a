/**
 * Tokens that a simulated engine guesses beside the one that a pass of an answer draws, as Dynamo's
 * mocker does for multi-token prediction: whether a guess is right is drawn by a rate for each
 * place, given that those before it are right. The tokens themselves are drawn as without guesses.
 */
import { type Draw, drawHash } from "./drawn-token.ts";

export type GuessOptions = {
  /** Guesses of an answer in each pass; 0: none. */
  readonly aic_nextn: number;
  /** Separated by commas; "": Dynamo's. */
  readonly aic_nextn_accept_rates: string;
};

const RATES_DEFAULT = [0.85, 0.3];
const GUESSES_MOST = 5;
const U32_END = 2 ** 32;

/** One line on what is wrong and what to give; undefined: nothing is. */
export function ratesProblem(options: GuessOptions): string | undefined {
  const { aic_nextn: guesses, aic_nextn_accept_rates: text } = options;
  if (!Number.isSafeInteger(guesses) || guesses < 0 || guesses > GUESSES_MOST) {
    return `--aic-nextn ${guesses}: give a whole number from 0 to ${GUESSES_MOST}`;
  }
  if (text === "") return undefined;
  if (guesses === 0) {
    return `--aic-nextn-accept-rates ${text}: give --aic-nextn too, how many tokens are guessed`;
  }
  const wrong = text.split(",").find((rate) => !(rateOf(rate) >= 0 && rateOf(rate) <= 1));
  if (wrong === undefined) return undefined;
  return `--aic-nextn-accept-rates ${text}: give numbers from 0 to 1, as 0.85,0.3; not "${wrong}"`;
}

/** One rate a guess, 0 to 1; 0 for those beyond the ones that are given. */
export function acceptRates(options: GuessOptions): readonly number[] {
  const { aic_nextn: guesses, aic_nextn_accept_rates: text } = options;
  const rates = text === "" ? RATES_DEFAULT : text.split(",").map(rateOf);
  return Array.from({ length: guesses }, (_, i) => rates[i] ?? 0);
}

const rateOf = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));

/** True: the guess of the token at this place of an answer is right. */
export function isRight(rate: number, draw: Draw, at: number): boolean {
  return drawHash({ ...draw, choice: ~draw.choice }, at) < rate * U32_END;
}
