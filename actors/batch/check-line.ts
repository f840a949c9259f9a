/** One line of a batch's file → the request that it asks for, or what is wrong with it. Pure. */
import type { LineError } from "./batch-record.ts";
import type { Line } from "./line-reader.ts";

export type CheckedLine =
  | {
      readonly kind: "request";
      readonly number: number;
      readonly custom_id: string;
      readonly body: object;
    }
  | {
      readonly kind: "bad";
      readonly number: number;
      readonly custom_id: string | null;
      readonly error: LineError;
    };

export type LineRules = {
  readonly endpoint: string;
  readonly line_bytes: number;
  /** Throws an Error whose message is for clients. */
  readonly parse: (bytes: Uint8Array) => unknown;
};

/** Ids of a batch in memory are at most this long, each. */
const CUSTOM_ID_CHARS_MAX = 512;

/** Checks the lines of one file in order. */
export class LineChecker {
  readonly #rules: LineRules;
  readonly #seen = new Set<string>();

  constructor(rules: LineRules) {
    this.#rules = rules;
  }

  check({ number, bytes }: Line): CheckedLine {
    const { endpoint, line_bytes, parse } = this.#rules;
    const bad = (
      code: string,
      message: string,
      param: string | null = null,
      custom_id: string | null = null,
    ): CheckedLine => {
      const error = { code, message: `Line ${number}: ${message}`, param, line: number };
      return { kind: "bad", number, custom_id, error };
    };
    if (bytes === undefined) {
      return bad(
        "line_too_large",
        `it has more than ${line_bytes} bytes; send less in one request.`,
      );
    }
    let value: unknown;
    try {
      value = parse(bytes);
    } catch (error) {
      return bad("invalid_json_line", (error as Error).message);
    }
    if (!isObject(value)) return bad("invalid_json_line", "it must be a JSON object.");
    const { custom_id, method, url, body } = value as Record<string, unknown>;
    if (typeof custom_id !== "string" || custom_id === "") {
      return bad("missing_required_parameter", "'custom_id' must be a text.", "custom_id");
    }
    if (custom_id.length > CUSTOM_ID_CHARS_MAX) {
      const rule = `'custom_id' has at most ${CUSTOM_ID_CHARS_MAX} characters.`;
      return bad("invalid_value", rule, "custom_id");
    }
    if (this.#seen.has(custom_id)) {
      const rule = "this 'custom_id' is an earlier line's; give each line its own.";
      return bad("duplicate_custom_id", rule, "custom_id", custom_id);
    }
    this.#seen.add(custom_id);
    if (method !== "POST") {
      return bad("invalid_method", "'method' must be \"POST\".", "method", custom_id);
    }
    if (url !== endpoint) {
      const rule = `'url' must be the batch's endpoint, "${endpoint}".`;
      return bad("mismatched_url", rule, "url", custom_id);
    }
    if (!isObject(body)) {
      return bad("invalid_value", "'body' must be a JSON object.", "body", custom_id);
    }
    if ((body as { stream?: unknown }).stream === true) {
      const rule = "'body.stream' cannot be true; a batch's answers come in one piece.";
      return bad("invalid_value", rule, "body.stream", custom_id);
    }
    return { kind: "request", number, custom_id, body };
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
