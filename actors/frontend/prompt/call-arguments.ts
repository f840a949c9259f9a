/**
 * How much JSON the calls of a conversation hold. Most templates show arguments as objects, so
 * their texts are parsed and written anew; the limits of the body do not see into texts.
 */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import { clip, invalidValue } from "../api/api-error.ts";

/** As of a body (http/read-body.ts). */
const LEVELS_MOST = 64;
const VALUES_MOST = requestLimits.json_values;

export class ArgumentsMeasure {
  #values = 0;

  /** Throws ApiError (400) once the calls so far are beyond a limit. */
  take(text: string, param: string): void {
    this.#values += 1 + valuesIn(text, VALUES_MOST - this.#values, param);
    if (this.#values <= VALUES_MOST) return;
    throw invalidValue(
      `With '${clip(param)}' the calls of this conversation have more than ${VALUES_MOST} values ` +
        "in their arguments. Leave calls out, or send less in them.",
      param,
    );
  }
}

const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a];
const OPENS = [0x7b, 0x5b];
const CLOSES = [0x7d, 0x5d];

/** Commas, colons and brackets outside of strings; counts no further than `limit`. */
function valuesIn(text: string, limit: number, param: string): number {
  let values = 0;
  let level = 0;
  for (let i = 0; i < text.length && values <= limit; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i + 1);
    else if (code === COMMA || code === COLON) values++;
    else if (CLOSES.includes(code)) level--;
    else if (OPENS.includes(code)) {
      values++;
      level++;
      if (level > LEVELS_MOST) throw tooDeep(param);
    }
  }
  return values;
}

/** Index of the closing quote, or of the end. */
function endOfString(text: string, from: number): number {
  for (let at = from; ; ) {
    const close = text.indexOf('"', at);
    if (close < 0) return text.length;
    let slashes = 0;
    while (close - slashes - 1 >= from && text[close - slashes - 1] === "\\") slashes++;
    if (slashes % 2 === 0) return close;
    at = close + 1;
  }
}

const tooDeep = (param: string) =>
  invalidValue(
    `'${clip(param)}' is nested deeper than ${LEVELS_MOST} levels; no function needs that. ` +
      "Send less at once.",
    param,
  );
