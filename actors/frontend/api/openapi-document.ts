/** The form of openapi.json, as far as this server writes it. */

export type OpenApiDocument = {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly license: object };
  /** By path, then by method in small letters. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly securitySchemes: object;
  };
  readonly security: readonly object[];
};

export type Operation = {
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: true; readonly content: object };
  readonly responses: object;
  /** Where no key is needed. */
  readonly security?: readonly object[];
};

export type Parameter = {
  readonly name: string;
  readonly in: "path" | "header" | "query";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: object;
};

/** The schema of one request. `x-refused`: fields that are a 400, and why. */
export type RequestSchema = {
  readonly type: "object";
  readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly required: readonly string[];
  readonly additionalProperties: false;
  readonly "x-refused": Readonly<Record<string, string>>;
};

/** What a field that changes nothing is told apart by. */
export const IGNORED = "Accepted, ignored. ";
