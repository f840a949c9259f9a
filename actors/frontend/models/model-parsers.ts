/** Which parsers read a model's answers: those that were named, else what its template shows. */
import { findParsers } from "../../../llm/parsers/auto.ts";
import { NO_PARSER } from "../../../llm/parsers/names.ts";
import { parserMarkers } from "../../../llm/parsers/parser-markers.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { ParserSettings } from "../flags.ts";
import { FOUND_PARSER, parserRule } from "./parser-rule.ts";

export type ModelParsers = {
  /** Names of parsers, or "none". */
  readonly tool: string;
  readonly reasoning: string;
  /** What the answer's field for reasoning is called. */
  readonly reasoning_field: string;
  /**
   * Control tokens that have to be in the text for these parsers, as they stand in what the
   * parsers look for; undefined: none.
   */
  readonly shownTokens: (tool: string, reasoning: string) => ReadonlySet<number> | undefined;
};

export const parserDefaults: ParserSettings = {
  tool_call_parsers: [],
  reasoning_parsers: [],
  reasoning_field: "reasoning_content",
};

/** The rule that names the model wins over one for all. */
function wantedParser(given: readonly string[], model: string): string {
  const rules = given.map(parserRule);
  const rule =
    rules.find((each) => each.model === model) ?? rules.find((each) => each.model === undefined);
  return rule?.parser ?? FOUND_PARSER;
}

/** @param template the source of the chat template that writes the model's prompts */
export function modelParsers(
  model: string,
  template: string,
  tokenizer: Tokenizer,
  settings: ParserSettings,
): ModelParsers {
  const wanted = {
    tool: wantedParser(settings.tool_call_parsers, model),
    reasoning: wantedParser(settings.reasoning_parsers, model),
  };
  const isFound = wanted.tool === FOUND_PARSER || wanted.reasoning === FOUND_PARSER;
  const found = isFound ? findParsers(template, (mark) => isToken(tokenizer, mark)) : undefined;
  const known = new Map<string, ReadonlySet<number> | undefined>();
  return {
    tool: wanted.tool === FOUND_PARSER ? (found?.tool ?? NO_PARSER) : wanted.tool,
    reasoning:
      wanted.reasoning === FOUND_PARSER ? (found?.reasoning ?? NO_PARSER) : wanted.reasoning,
    reasoning_field: settings.reasoning_field,
    shownTokens: (tool, reasoning) => {
      const key = `${tool} ${reasoning}`;
      if (!known.has(key)) known.set(key, markerTokens(tokenizer, tool, reasoning));
      return known.get(key);
    },
  };
}

/** For the start of a server. */
export const parsersText = ({ name, parsers }: { name: string; parsers: ModelParsers }): string =>
  `${name}: tool-call parser ${parsers.tool}, reasoning parser ${parsers.reasoning}`;

function markerTokens(
  tokenizer: Tokenizer,
  tool: string,
  reasoning: string,
): ReadonlySet<number> | undefined {
  const markers = parserMarkers(tool, reasoning);
  const tokens = new Set<number>();
  for (const text of tokenizer.control_texts) {
    if (!markers.some((marker) => marker.includes(text))) continue;
    const token = tokenOf(tokenizer, text);
    if (token !== undefined && tokenizer.isControl(token)) tokens.add(token);
  }
  return tokens.size === 0 ? undefined : tokens;
}

const isToken = (tokenizer: Tokenizer, spelling: string): boolean =>
  tokenOf(tokenizer, spelling) !== undefined;

function tokenOf(tokenizer: Tokenizer, spelling: string): number | undefined {
  const ids = tokenizer.encode(spelling, { add_special: false, parse_special: true });
  const [only] = ids;
  if (only === undefined || ids.length !== 1) return undefined;
  return new TextDecoder().decode(tokenizer.tokenBytes(only)) === spelling ? only : undefined;
}
