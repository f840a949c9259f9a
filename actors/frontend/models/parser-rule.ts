/** What `--tool-call-parser` and `--reasoning-parser` may say. Pure. */

/** The parser that a model's template shows. */
export const FOUND_PARSER = "auto";

/** `NAME` for all models, or `MODEL=NAME`; no parser's name has a "=". */
export type ParserRule = { readonly model: string | undefined; readonly parser: string };

export function parserRule(text: string): ParserRule {
  const equals = text.lastIndexOf("=");
  if (equals < 0) return { model: undefined, parser: text.trim() };
  return { model: text.slice(0, equals).trim(), parser: text.slice(equals + 1).trim() };
}
