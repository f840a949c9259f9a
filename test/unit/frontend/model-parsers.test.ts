/** Which parsers a model has, which of its control tokens they see, and how settings name them. */
import { expect, test } from "bun:test";
import { buildServedModel } from "../../../actors/frontend/frontend.ts";
import { modelJson } from "../../../actors/frontend/models/info-bodies.ts";
import { parserRule } from "../../../actors/frontend/models/parser-rule.ts";
import { readSettings } from "../../../cluster/settings/read-settings.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";
import { modelFactsFromFolder } from "../../../llm/model/model-card.ts";
import { Detokenizer } from "../../../llm/tokens/detokenizer.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { folderOf, smallTokenizer } from "../../support/tokens/small-tokenizer.ts";
import { fakeCard } from "../../support/worlds/frontend-fakes.ts";

const HERMES =
  '<tool_call>{"name": n, "arguments": a}</tool_call>{{ messages }}{{ "</think>" }}<|im_end|>';
const MISTRAL = "[TOOL_CALLS]{{ messages }}";

function modelOf(
  template: string,
  controls: readonly string[] = [],
  options: Parameters<typeof buildServedModel>[3] = {},
) {
  const added_tokens = controls.map((content) => ({ id: 0, content, special: true }));
  const parts = folderOf(smallTokenizer({ added_tokens }), {
    tokenizer_config: { chat_template: template },
  });
  const { tokenizer_blob, template_blob, blobs } = modelFactsFromFolder(parts, "m");
  const card = fakeCard({ name: "m", tokenizer_blob, template_blob });
  return buildServedModel(card, blobs, new VirtualClock(), options);
}

test("auto finds the parsers in the template; a name and none win over it", () => {
  const names = (options: Parameters<typeof modelOf>[2]) => {
    const { tool, reasoning } = modelOf(HERMES, [], options).parsers;
    return [tool, reasoning];
  };
  expect(names({})).toEqual(["hermes", "qwen3"]);
  expect(names({ tool_call_parsers: ["auto"], reasoning_parsers: ["none"] })).toEqual([
    ...["hermes", "none"],
  ]);
  expect(names({ tool_call_parsers: ["phi4", "m=mistral", "x=jamba"] })).toEqual([
    ...["mistral", "qwen3"],
  ]);
  expect(names({ tool_call_parsers: ["x=jamba"] })[0]).toBe("hermes");
  expect(modelJson(modelOf(MISTRAL))).toMatchObject({
    ...{ tool_call_parser: "mistral", reasoning_parser: "none" },
  });
});

test("control tokens that a parser looks for are in the text, others stay hidden", () => {
  const { tokenizer, parsers } = modelOf(MISTRAL, ["[TOOL_CALLS]", "<|im_end|>"]);
  const shown = parsers.shownTokens("mistral", "none");
  expect(shown?.size).toBe(1);
  expect(parsers.shownTokens("mistral", "none")).toBe(shown!);
  expect(parsers.shownTokens("hermes", "none")).toBeUndefined();
  const text = "[TOOL_CALLS]ab<|im_end|>";
  const tokens = tokenizer.encode(text, { add_special: false, parse_special: true });
  expect(new Detokenizer(tokenizer).push(tokens)).toBe("ab");
  expect(new Detokenizer(tokenizer, { shown }).push(tokens)).toBe("[TOOL_CALLS]ab");
});

test("a rule is a name, or a model and a name; a model's name may have a =", () => {
  expect(parserRule("hermes")).toEqual({ model: undefined, parser: "hermes" });
  expect(parserRule("a/b=c=hermes")).toEqual({ model: "a/b=c", parser: "hermes" });
});

function settings(args: readonly string[], env: Record<string, string> = {}) {
  const command = readSettings(args, env, "1", () => "");
  if (command.kind !== "run") throw new Error("it prints instead of running");
  const { tool_call_parsers, reasoning_parsers, reasoning_field } = command.settings.frontend;
  return [tool_call_parsers, reasoning_parsers, reasoning_field] as unknown[];
}

test("flags and the environment name parsers, Dynamo's names too", () => {
  expect(settings([])).toEqual([[], [], "reasoning_content"]);
  expect(settings(["--tool-call-parser", "hermes", "--reasoning-parser", "none"])).toEqual([
    ...[["hermes"], ["none"], "reasoning_content"],
  ]);
  const env = {
    TROUPE_TOOL_CALL_PARSER: "hermes,m=auto",
    DYN_REASONING_PARSER: "qwen3",
    DYN_REASONING_FIELD_NAME: "reasoning",
  };
  expect(settings([], env)).toEqual([["hermes", "m=auto"], ["qwen3"], "reasoning"]);
});

test("a name that is none stops the start and says which was meant", () => {
  const models = ["--model", "a=x.gguf", "--model", "beta=y.gguf"];
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--tool-call-parser", "hermse"], /no parser "hermse"; did you mean hermes\?$/],
    [["--tool-call-parser", "m=nothing_like_it"], /docs\/parsers\.md lists them$/],
    [["--reasoning-parser", "hermes"], /no parser "hermes"/],
    [["--reasoning-parser", "qwen3", "--reasoning-parser", "basic"], /all models has two/],
    [[...models, "--tool-call-parser", "bet=hermes"], /no model is named "bet"; did you mean beta/],
    [
      [...models, "--tool-call-parser", "a=phi4", "--tool-call-parser", "a=phi4"],
      /model a has two/,
    ],
    [["--reasoning-field", "thoughts"], /one of reasoning_content, reasoning/],
  ];
  for (const [args, message] of wrong) {
    expect(() => settings(args)).toThrow(SettingsError);
    expect(() => settings(args)).toThrow(message);
  }
  expect(settings([...models, "--tool-call-parser", "beta=hermes"])[0]).toEqual(["beta=hermes"]);
});
