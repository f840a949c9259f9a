/** /openapi.json, made from the same field tables that check requests. */
import { z } from "zod";
import type { Dialect } from "./dialect.ts";
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

export function openApiDocument(version: string, dialects: readonly Dialect[]) {
  const posts = dialects.map(({ path, page }) => [path, post(page)] as const);
  const schemas = dialects.map(({ page, fields }) => [page.schema, schemaOf(fields)] as const);
  return {
    openapi: "3.1.0",
    info: { title: "Troupe", version, license: { name: "Apache-2.0" } },
    paths: {
      ...Object.fromEntries(posts),
      "/v1/streams/{request}": resumeRoute(),
      "/v1/models": get("The models that are served"),
      "/v1/models/{id}": get("One model; its id may hold slashes", [
        { name: "id", in: "path", required: true, schema: { type: "string" } },
      ]),
      "/health": get("200 when requests are answered, 503 while starting or draining"),
      "/live": get("200 while the process lives"),
      "/metrics": get("Prometheus text"),
    },
    components: {
      schemas: { Error: errorSchema, ...Object.fromEntries(schemas) },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
    security: [{ key: [] }, {}],
  };
}

function post({ summary, schema, streams }: Dialect["page"]) {
  const answer = { description: summary, content: json({ type: "object" }) };
  const events = { "text/event-stream": { schema: { type: "string" } } };
  return {
    post: {
      summary,
      requestBody: { required: true, content: json({ $ref: `#/components/schemas/${schema}` }) },
      responses: {
        200: streams ? { ...answer, content: { ...answer.content, ...events } } : answer,
        ...errors,
      },
    },
  };
}

function get(summary: string, parameters: readonly object[] = []) {
  return { get: { summary, parameters, responses: { 200: { description: summary }, ...errors } } };
}

function resumeRoute() {
  const parameter = (name: string, where: string, required: boolean) => ({
    name,
    in: where,
    required,
    schema: { type: "string" },
  });
  return {
    get: {
      summary: "The rest of a stream behind Last-Event-ID, or all of it",
      parameters: [parameter("request", "path", true), parameter("Last-Event-ID", "header", false)],
      responses: {
        200: {
          description: "The events that follow",
          content: { "text/event-stream": { schema: { type: "string" } } },
        },
        ...errors,
      },
    },
  };
}

/** Refused fields are left out: nothing that they could hold is understood. */
function schemaOf(fields: Fields) {
  const properties: Record<string, unknown> = {};
  const required: string[] = [];
  for (const [name, field] of Object.entries(fields)) {
    if (field.treatment === "refused") continue;
    const { $schema: _, ...schema } = z.toJSONSchema(field.shape, {
      unrepresentable: "any",
      io: "input",
    });
    properties[name] = { ...schema, description: field.note };
    if (!field.shape.safeParse(undefined).success) required.push(name);
  }
  return { type: "object", properties, required, additionalProperties: false };
}
