import type { Json } from "../vocab/json-values.ts";
import { toForm, WALL } from "./unicode-forms.ts";

/**
 * BERT's text before it is cut into words: control characters go, blanks are spaces, Chinese
 * characters stand alone, accents go and letters are small, as far as the file asks for it.
 * Source: `BertNormalizer` in `tokenizers/src/normalizers/bert.rs` (Apache-2.0).
 */
export function bertNormalizer(json: Json): (text: string) => string {
  const lower = json["lowercase"] !== false;
  const strip = json["strip_accents"] ?? lower;
  return (text) => {
    let out = text;
    if (json["clean_text"] !== false) out = out.replace(GONE, "").replace(BLANK, " ");
    if (json["handle_chinese_chars"] !== false) out = out.replace(CHINESE, " $& ");
    if (strip === true) out = toForm(out, "NFD").replace(ACCENTS, keepNewer);
    return lower ? Array.from(out, (char) => char.toLowerCase()).join("") : out;
  };
}

/** Cc, Cf and Co but for the three that are blanks; what cannot be decoded. */
const GONE = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu;
const BLANK = /\p{White_Space}/gu;
const ACCENTS = /\p{Mn}/gu;
const keepNewer = (mark: string): string => (WALL.test(mark) ? mark : "");
const CHINESE = new RegExp(
  `[${[
    String.raw`\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}`,
    String.raw`\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}`,
  ].join("")}]`,
  "gu",
);
