/** `--tool-call-parser` and `--reasoning-parser`: names that exist, each model once. */
import { FOUND_PARSER, parserRule } from "../../actors/frontend/settings.ts";
import { NO_PARSER, REASONING_PARSERS, TOOL_PARSERS } from "../../llm/parsers/names.ts";
import { nearestName } from "./nearest-name.ts";
import { SettingsError } from "./settings-error.ts";

type Named = { readonly name?: string };

/**
 * @param served the models of this cluster; undefined where others may join it
 * Throws SettingsError.
 */
export function checkParsers(
  given: {
    readonly tool_call_parsers: readonly string[];
    readonly reasoning_parsers: readonly string[];
  },
  served: readonly Named[] | undefined,
): void {
  checkOne("--tool-call-parser", given.tool_call_parsers, Object.keys(TOOL_PARSERS), served);
  checkOne("--reasoning-parser", given.reasoning_parsers, Object.keys(REASONING_PARSERS), served);
}

function checkOne(
  flag: string,
  given: readonly string[],
  parsers: readonly string[],
  served: readonly Named[] | undefined,
): void {
  const seen = new Set<string | undefined>();
  for (const text of given) {
    const { model, parser } = parserRule(text);
    if (seen.has(model)) {
      const whose = model === undefined ? "all models" : `the model ${model}`;
      throw new SettingsError(`${flag}: ${whose} has two parsers: give one`);
    }
    seen.add(model);
    checkName(flag, text, parser, parsers);
    checkModel(flag, text, model, served);
  }
}

function checkName(flag: string, text: string, parser: string, parsers: readonly string[]): void {
  if (parser === FOUND_PARSER || parser === NO_PARSER || parsers.includes(parser)) return;
  const near = nearestName(parser, [...parsers, FOUND_PARSER, NO_PARSER]);
  const hint = near === undefined ? "docs/parsers.md lists them" : `did you mean ${near}?`;
  throw new SettingsError(`${flag} ${text}: there is no parser "${parser}"; ${hint}`);
}

/** A model that was given no name has one that is not known here. */
function checkModel(
  flag: string,
  text: string,
  model: string | undefined,
  served: readonly Named[] | undefined,
): void {
  const names = (served ?? []).flatMap(({ name }) => name ?? []);
  if (model === undefined || served === undefined || names.length < served.length) return;
  if (names.includes(model)) return;
  const near = nearestName(model, names);
  const hint = near === undefined ? `there is ${names.join(", ")}` : `did you mean ${near}?`;
  throw new SettingsError(`${flag} ${text}: no model is named "${model}"; ${hint}`);
}
