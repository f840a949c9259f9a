/** /openapi.json, made from the same field tables that check requests. */
import { z } from "zod";
import { type Dialect, pathsOf } from "./dialect.ts";
import type { JsonRoute } from "./json-route.ts";
import {
  IGNORED,
  type OpenApiDocument,
  type Operation,
  type Parameter,
  type RequestSchema,
} from "./openapi-document.ts";
import { type Paths, placeOf, STREAMS_PATH } from "./paths.ts";
import type { Fields } from "./request-fields.ts";

const errorSchema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["message", "type", "code", "param"],
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        code: { type: "string" },
        param: { type: ["string", "null"] },
      },
    },
  },
};

const json = (schema: object) => ({ "application/json": { schema } });
const errors = {
  default: {
    description: "Anything that went wrong",
    content: json({ $ref: "#/components/schemas/Error" }),
  },
};

type Entry = readonly [path: string, method: string, operation: Operation];

/** `paths`: routes that are elsewhere than their tables say. */
export function openApiDocument(
  version: string,
  dialects: readonly Dialect[],
  jsonRoutes: readonly JsonRoute[],
  paths: Paths = {},
): OpenApiDocument {
  const entries: readonly Entry[] = [
    ...dialects.flatMap((dialect) =>
      pathsOf(dialect).map((path): Entry => [path, "post", post(dialect.page)]),
    ),
    [STREAMS_PATH, "get", resumeRoute()],
    ...jsonRoutes.map((route): Entry => [route.path, route.method.toLowerCase(), plain(route)]),
  ];
  const byPath: Record<string, Record<string, Operation>> = {};
  for (const [path, method, operation] of entries) {
    const place = placeOf(paths, path);
    byPath[place] = { ...byPath[place], [method]: operation };
  }
  const schemas: Record<string, object> = { Error: errorSchema };
  for (const { page, fields } of dialects) schemas[page.schema] = schemaOf(fields);
  for (const { page, body, form } of jsonRoutes) {
    const tables = body ?? form;
    if (page.schema !== undefined && tables !== undefined) {
      schemas[page.schema] = schemaOf(tables.fields);
    }
  }
  return {
    openapi: "3.1.0",
    info: { title: "Troupe", version, license: { name: "Apache-2.0" } },
    paths: byPath,
    components: { schemas, securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    security: [{ key: [] }, {}],
  };
}

const bodyOf = (schema: string, type = "application/json") => ({
  required: true as const,
  content: { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } },
});

function post({ summary, schema, streams }: Dialect["page"]): Operation {
  const answer = { description: summary, content: json({ type: "object" }) };
  const events = { "text/event-stream": { schema: { type: "string" } } };
  return {
    summary,
    parameters: [],
    requestBody: bodyOf(schema),
    responses: {
      200: streams ? { ...answer, content: { ...answer.content, ...events } } : answer,
      ...errors,
    },
  };
}

function plain({ path, access, page, form, query = {} }: JsonRoute): Operation {
  const { summary, schema } = page;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  return {
    summary,
    parameters: [
      ...names.map((name) => parameter(name, "path", true)),
      ...Object.entries(query).map(([each, note]) => parameter(each, "query", false, note)),
    ],
    ...(schema === undefined ? {} : { requestBody: bodyOf(schema, form && FORM_TYPE) }),
    responses: { 200: { description: summary }, ...errors },
    ...(access === "open" ? { security: [] } : {}),
  };
}

const FORM_TYPE = "multipart/form-data";

const parameter = (
  name: string,
  where: Parameter["in"],
  required: boolean,
  description?: string,
): Parameter => ({
  name,
  in: where,
  required,
  ...(description === undefined ? {} : { description }),
  schema: { type: "string" },
});

const resumeRoute = (): Operation => ({
  summary: "The rest of a stream behind Last-Event-ID, or all of it",
  parameters: [parameter("request", "path", true), parameter("Last-Event-ID", "header", false)],
  responses: {
    200: {
      description: "The events that follow",
      content: { "text/event-stream": { schema: { type: "string" } } },
    },
    ...errors,
  },
});

function schemaOf(fields: Fields): RequestSchema {
  const properties: Record<string, Record<string, unknown>> = {};
  const required: string[] = [];
  const refused: Record<string, string> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (field.treatment === "refused") {
      refused[name] = field.note;
      continue;
    }
    const { $schema: _, ...schema } = z.toJSONSchema(field.shape, {
      unrepresentable: "any",
      io: "input",
    });
    const description = field.treatment === "ignored" ? IGNORED + field.note : field.note;
    properties[name] = { ...schema, description };
    if (!field.shape.safeParse(undefined).success) required.push(name);
  }
  return {
    type: "object",
    properties,
    required,
    additionalProperties: false,
    "x-refused": refused,
  };
}
