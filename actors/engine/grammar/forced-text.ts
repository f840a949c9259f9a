/**
 * What an answer is likely to go on with because its grammar leaves nothing else, but for blank
 * space: `name": "` behind `{"`. It is a guess, made of what the matcher alone can say of the
 * text, without a look at the vocabulary.
 */
import type { GrammarMatcher } from "@mlc-ai/web-xgrammar";
import { type Blanks, blankNext, blanksAfter } from "./blanks.ts";
import { bytesOfAlphabet, inAlphabet } from "./grammar-vocab.ts";
import type { XGrammar } from "./xgrammar.ts";

/** In the alphabet. */
const MOST = 96;
/** Of JSON: where blank space may stand, a value, a name or an end begins. */
const MARKS = ['"', "{", "}", "[", "]", ",", ":"].map((mark) => ({
  mark,
  bytes: bytesOfAlphabet(mark),
}));
const BLANKS_AT_END = new RegExp(`[${inAlphabet(" \t\r\n")}]+$`);

/** In the alphabet. The matcher is as it was. */
export function forcedText(xgrammar: XGrammar, matcher: GrammarMatcher, before: Blanks): string {
  let blanks = before;
  let text = "";
  let taken = 0;
  while (text.length < MOST) {
    const next = nextText(xgrammar, matcher, blanks);
    if (next === "" || !xgrammar.take(matcher, bytesOfAlphabet(next))) break;
    taken++;
    text += next;
    blanks = blanksAfter(blanks, next);
  }
  xgrammar.back(matcher, taken);
  return text.replace(BLANKS_AT_END, "");
}

/** "": nothing is likely. */
function nextText(xgrammar: XGrammar, matcher: GrammarMatcher, blanks: Blanks): string {
  const forced = xgrammar.forced(matcher);
  if (forced !== "") return inAlphabet(forced);
  const blank = blankNext(blanks);
  if (blank !== "") return blank ?? "";
  let only = "";
  for (const { mark, bytes } of MARKS) {
    if (!xgrammar.take(matcher, bytes)) continue;
    xgrammar.back(matcher, 1);
    if (only !== "") return "";
    only = mark;
  }
  return only;
}
