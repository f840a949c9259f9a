/**
 * What requests are given that leave it open: the operator's `--request-template`, a JSON file with
 * Dynamo's names.
 */
import { z } from "zod";

const shape = z.strictObject({
  model: z.string().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  max_completion_tokens: z.int().min(1).max(1_000_000_000).optional(),
});
export type RequestTemplate = Readonly<z.infer<typeof shape>>;

const FORM = `it is a JSON object with ${Object.keys(shape.shape).join(", ")}`;

/** Throws Error, in one line, for a text that is none. */
export function readRequestTemplate(text: string): RequestTemplate {
  const read = shape.safeParse(jsonOf(text));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const field = issue?.path.join(".") ?? "";
  throw new Error(`${field === "" ? "" : `${field}: `}${issue?.message ?? "not valid"}; ${FORM}`);
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
