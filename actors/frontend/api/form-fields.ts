/**
 * Fields that say which form an answer has: OpenAI's `response_format`, vLLM's `structured_outputs`
 * and the older `guided_…`, which Dynamo has too.
 */
import { z } from "zod";
import { textFormLimits } from "../../../llm/constraint/text-form.ts";
import type { FormRequest, ThinkingLimit } from "../prompt/constraint.ts";
import { invalidType, invalidValue, missingParameter } from "./api-error.ts";
import {
  count,
  type Fields,
  ignored,
  isJsonObject,
  type Json,
  jsonObject,
  objectOf,
  used,
} from "./request-fields.ts";

const schemaOrText = z
  .custom<Json | string>((value) => typeof value === "string" || isJsonObject(value), {
    error: "expected a JSON schema, as an object or as text",
  })
  .meta({ anyOf: [{ type: "object" }, { type: "string" }] });

export const formFields = {
  response_format: used(
    jsonObject.nullish(),
    "`type`: `text`, `json_object`, `json_schema` (`json_schema`: `name`, `schema`, `strict`) or " +
      "`structural_tag` (`format`; or `structures` and `triggers`). See *Forms of answers*.",
  ),
  structured_outputs: used(
    jsonObject.nullish(),
    "vLLM's: one of `json`, `regex`, `choice`, `grammar`, `json_object`, `structural_tag`.",
  ),
  guided_json: used(schemaOrText.nullish(), "A JSON schema, as an object or as text."),
  guided_regex: used(z.string().nullish(), "A regular expression that fits the whole answer."),
  guided_grammar: used(z.string().nullish(), "A grammar in GBNF (EBNF) with the rule `root`."),
  guided_choice: used(
    z.array(z.string()).nullish(),
    `The answer is one of these texts; at most ${textFormLimits.choices}.`,
    textFormLimits.choices,
  ),
  guided_decoding_backend: ignored("There is one."),
  guided_whitespace_pattern: ignored("Blank space in JSON is short."),
} as const satisfies Fields;

export const thinkingFields = {
  max_thinking_tokens: used(
    count(0).nullish(),
    "Most tokens of the reasoning; then it is ended. 0: none. `nvext.max_thinking_tokens` is the same.",
  ),
  thinking_token_budget: used(count(0).nullish(), "vLLM's name of `max_thinking_tokens`."),
} as const satisfies Fields;

const shape = objectOf(formFields);
export type FormBody = z.infer<typeof shape>;

const thinkingShape = objectOf(thinkingFields);
type ThinkingBody = z.infer<typeof thinkingShape> & {
  readonly nvext?: { readonly max_thinking_tokens?: number | null | undefined } | null | undefined;
};

/** The first of the three names that says something. */
export function thinkingLimit(body: ThinkingBody): ThinkingLimit | undefined {
  const asked = [
    ["max_thinking_tokens", body.max_thinking_tokens],
    ["thinking_token_budget", body.thinking_token_budget],
    ["nvext.max_thinking_tokens", body.nvext?.max_thinking_tokens],
  ] as const;
  for (const [param, max_tokens] of asked) if (max_tokens != null) return { max_tokens, param };
  return undefined;
}

/** Undefined: any text. Throws ApiError (400), also where two fields say something. */
export function formOf(body: FormBody): FormRequest | undefined {
  const { response_format, structured_outputs, guided_json, guided_regex } = body;
  const { guided_grammar, guided_choice } = body;
  const asked: (FormRequest | undefined)[] = [
    response_format == null ? undefined : responseFormat(response_format, "response_format"),
    structured_outputs == null ? undefined : structuredOutputs(structured_outputs),
  ];
  if (guided_json != null) asked.push(jsonForm(guided_json, "guided_json"));
  if (guided_regex != null) {
    asked.push({ form: { kind: "regex", pattern: guided_regex }, param: "guided_regex" });
  }
  if (guided_grammar != null) {
    asked.push({ form: { kind: "grammar", grammar: guided_grammar }, param: "guided_grammar" });
  }
  if (guided_choice != null) {
    asked.push({ form: { kind: "choice", choices: guided_choice }, param: "guided_choice" });
  }
  const [first, second] = asked.filter((each) => each !== undefined);
  if (first === undefined || second === undefined) return first;
  const [one, other] = [fieldOf(first.param), fieldOf(second.param)];
  throw invalidValue(
    `'${one}' and '${other}' both say which form the answer has; send one of them.`,
    other,
  );
}

const fieldOf = (param: string): string => /^\w+/.exec(param)?.[0] ?? param;

/**
 * OpenAI's `response_format`, and with its `json_schema` members side by side the Responses API's
 * `text.format`. Undefined: any text. Throws ApiError (400).
 * @param nested the schema is missed in `json_schema` rather than beside the type
 */
export function responseFormat(
  format: Json,
  param: string,
  nested = true,
): FormRequest | undefined {
  const { type } = format;
  switch (type) {
    case "text":
      return undefined;
    case "json_object":
      // llama-server takes a schema here.
      if (format["schema"] != null) return schemaForm(format["schema"], `${param}.schema`, false);
      return { form: { kind: "object" }, param };
    case "json_schema":
      return jsonSchemaForm(format, param, nested);
    case "structural_tag":
      return { form: { kind: "tags", format: tagsOf(format, param) }, param };
    default:
      if (type == null) throw missingParameter(`${param}.type`);
      throw invalidValue(
        `'${param}.type' is not one of 'text', 'json_object', 'json_schema', 'structural_tag'.`,
        `${param}.type`,
      );
  }
}

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

function jsonSchemaForm(format: Json, param: string, nested: boolean): FormRequest {
  const inner = format["json_schema"];
  if (inner != null && !isJsonObject(inner)) {
    throw invalidType(`'${param}.json_schema' must be an object.`, `${param}.json_schema`);
  }
  const where = inner == null ? param : `${param}.json_schema`;
  const { name, schema, strict } = inner ?? format;
  if (name != null && (typeof name !== "string" || !NAME.test(name))) {
    throw invalidValue(
      `'${where}.name' must have 1 to 64 letters (a–z), digits, _ and -.`,
      `${where}.name`,
    );
  }
  if (strict != null && typeof strict !== "boolean") {
    throw invalidType(`'${where}.strict' must be true or false.`, `${where}.strict`);
  }
  if (schema == null) {
    throw missingParameter(inner == null && nested ? `${param}.json_schema` : `${where}.schema`);
  }
  return schemaForm(schema, `${where}.schema`, strict === true);
}

function schemaForm(schema: unknown, param: string, strict: boolean): FormRequest {
  if (!isJsonObject(schema) && typeof schema !== "boolean") {
    throw invalidType(`'${param}' must be a JSON schema.`, param);
  }
  return { form: { kind: "json", schema, strict }, param };
}

/** A schema that may come as text. What cannot be held is a 400, as in vLLM. */
function jsonForm(given: unknown, param: string): FormRequest {
  return schemaForm(typeof given === "string" ? parsed(given, param) : given, param, true);
}

function parsed(text: string, param: string): unknown {
  if (text.length > textFormLimits.json_chars) {
    throw invalidValue(
      `'${param}' has ${text.length} characters; at most ${textFormLimits.json_chars} are taken.`,
      param,
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    throw invalidValue(`'${param}' is a text that is not JSON.`, param);
  }
}

const OUTPUTS = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"] as const;
/** Say how blank space and other names are treated, which is fixed here. */
const TOGGLES = [
  ...["disable_fallback", "disable_any_whitespace", "disable_additional_properties"],
  ...["whitespace_pattern", "backend"],
];

function structuredOutputs(given: Json): FormRequest | undefined {
  const param = "structured_outputs";
  for (const name of Object.keys(given)) {
    if ((OUTPUTS as readonly string[]).includes(name) || TOGGLES.includes(name)) continue;
    throw invalidValue(
      `'${param}' knows no '${name.slice(0, 64)}'; it takes one of ${OUTPUTS.join(", ")}.`,
      param,
    );
  }
  const [first, second] = OUTPUTS.filter((name) => given[name] != null && given[name] !== false);
  if (first === undefined) return undefined;
  if (second !== undefined) {
    throw invalidValue(
      `'${param}.${first}' and '${param}.${second}' both say which form the answer has; send one.`,
      `${param}.${second}`,
    );
  }
  return outputForm(first, given[first], `${param}.${first}`);
}

function outputForm(kind: (typeof OUTPUTS)[number], value: unknown, param: string): FormRequest {
  switch (kind) {
    case "json":
      return jsonForm(value, param);
    case "json_object":
      return { form: { kind: "object" }, param };
    case "structural_tag": {
      const tag = typeof value === "string" ? parsed(value, param) : value;
      if (!isJsonObject(tag)) throw invalidType(`'${param}' must be a structural tag.`, param);
      return { form: { kind: "tags", format: tagsOf(tag, param) }, param };
    }
    case "choice":
      if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
        throw invalidType(`'${param}' must be an array of strings.`, param);
      }
      return { form: { kind: "choice", choices: value }, param };
    default:
      if (typeof value !== "string") throw invalidType(`'${param}' must be a string.`, param);
      return kind === "regex"
        ? { form: { kind, pattern: value }, param }
        : { form: { kind, grammar: value }, param };
  }
}

/** The format, or in the older form structures behind triggers. */
function tagsOf(given: Json, param: string): unknown {
  const { format, structures, triggers } = given;
  if (format != null) return format;
  if (!Array.isArray(structures)) throw missingParameter(`${param}.format`);
  if (!Array.isArray(triggers)) throw missingParameter(`${param}.triggers`);
  return {
    type: "triggered_tags",
    triggers,
    tags: structures.map((each: unknown, i) => {
      if (!isJsonObject(each)) {
        throw invalidType(`'${param}.structures[${i}]' must be an object.`, param);
      }
      const { begin, schema, end } = each;
      const content = { type: "json_schema", json_schema: schema ?? true };
      return { type: "tag", begin, content, end };
    }),
  };
}
