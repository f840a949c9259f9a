/**
 * What requests are given that leave it open: the operator's `--request-template`, a JSON file with
 * Dynamo's names.
 */
export type RequestTemplate = {
  readonly model?: string;
  readonly temperature?: number;
  readonly max_completion_tokens?: number;
};

const TOKENS_MOST = 1_000_000_000;

type Form = { readonly form: string; readonly is: (value: unknown) => boolean };

/** Read by hand: the root reads the file, and need not load what checks the bodies of requests. */
const forms: Readonly<Record<keyof RequestTemplate, Form>> = {
  model: { form: "a name", is: (value) => typeof value === "string" && value !== "" },
  temperature: {
    form: "a number from 0 to 2",
    is: (value) => typeof value === "number" && value >= 0 && value <= 2,
  },
  max_completion_tokens: {
    form: `a whole number from 1 to ${TOKENS_MOST}`,
    is: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= TOKENS_MOST,
  },
};

const FORM = `it is a JSON object with ${Object.keys(forms).join(", ")}`;

/** Throws Error, in one line, for a text that is none. */
export function readRequestTemplate(text: string): RequestTemplate {
  const read = jsonOf(text);
  if (typeof read !== "object" || read === null || Array.isArray(read)) {
    throw new Error(`the file is no JSON object; ${FORM}`);
  }
  for (const [name, value] of Object.entries(read)) {
    if (!Object.hasOwn(forms, name)) throw new Error(`unknown field "${name}"; ${FORM}`);
    const { form, is } = forms[name as keyof RequestTemplate];
    if (!is(value)) throw new Error(`${name}: ${form} is needed; ${FORM}`);
  }
  return read;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`the file is no JSON; ${FORM}`);
  }
}

/**
 * The body as it is where its dialect takes no template, or nothing is open in it.
 * @param limit_fields of the dialect
 */
export function withTemplate(
  body: object,
  limit_fields: readonly [string, ...string[]] | undefined,
  template: RequestTemplate,
): object {
  if (limit_fields === undefined) return body;
  const given = body as Readonly<Record<string, unknown>>;
  const added: Record<string, unknown> = {};
  const { model, temperature, max_completion_tokens } = template;
  const [limit] = limit_fields;
  if (given["model"] == null && model !== undefined) added["model"] = model;
  if (given["temperature"] == null && temperature !== undefined) added["temperature"] = temperature;
  if (max_completion_tokens !== undefined && limit_fields.every((name) => given[name] == null)) {
    added[limit] = max_completion_tokens;
  }
  return { ...body, ...added };
}
