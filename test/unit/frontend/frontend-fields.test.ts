/** docs/api.md says of every field what the code does with it, and has every code of an error. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { batchFields } from "../../../actors/frontend/api/batches/batch-fields.ts";
import { chatFields, messageFields } from "../../../actors/frontend/api/chat/chat-fields.ts";
import { checkNames } from "../../../actors/frontend/api/check-body.ts";
import { completionFields } from "../../../actors/frontend/api/completions/completion-fields.ts";
import { dialects } from "../../../actors/frontend/api/dialects.ts";
import { embeddingFields } from "../../../actors/frontend/api/embeddings/embedding-fields.ts";
import { uploadFields } from "../../../actors/frontend/api/files/file-fields.ts";
import { jsonRoutes } from "../../../actors/frontend/api/json-routes.ts";
import {
  messagesFields,
  promptFields,
} from "../../../actors/frontend/api/messages/messages-fields.ts";
import { openApiDocument } from "../../../actors/frontend/api/openapi.ts";
import type { RequestSchema } from "../../../actors/frontend/api/openapi-document.ts";
import type { Fields, FieldTables } from "../../../actors/frontend/api/request-fields.ts";

const page = readFileSync(join(import.meta.dir, "../../../docs/api.md"), "utf8");
const words = { used: "used", ignored: "accepted, ignored", refused: "refused (400)" };

const bodies: readonly (readonly [path: string, tables: FieldTables])[] = [
  ...dialects.map((dialect) => [dialect.path, dialect] as const),
  ...jsonRoutes.flatMap(({ path, body, form }) => {
    const tables = body ?? form;
    return tables === undefined ? [] : [[path, tables] as const];
  }),
];

/** A heading for each route with a body and for each object inside it. */
const sections: ReadonlyMap<string, Fields> = new Map(
  bodies.flatMap(([path, { fields, nested }]) => [
    [`## \`POST ${path}\``, fields] as const,
    ...nested.map((inner) => [nestedHeading(path, inner.name), inner.fields] as const),
  ]),
);

/** Below its route, or below another one that has the same objects. */
function nestedHeading(path: string, name: string): string {
  const from = page.indexOf(`## \`POST ${path}\`\n`);
  const below = page.slice(from, page.indexOf("\n## ", from + 1));
  const heading = new RegExp(`^### .*\`${name}\`$`, "m");
  const match = heading.exec(below) ?? heading.exec(page);
  if (match === null) throw new Error(`docs/api.md has no heading for the fields of ${name}`);
  return match[0];
}

function rowsUnder(heading: string): Map<string, string> {
  const from = page.indexOf(`${heading}\n`);
  expect(from).toBeGreaterThan(0);
  const rest = page.slice(from + heading.length);
  const end = rest.search(/\n##/);
  const rows = new Map<string, string>();
  for (const line of (end < 0 ? rest : rest.slice(0, end)).split("\n")) {
    const match = /^\| `([^`]+)` \| (.*) \|$/.exec(line);
    if (match?.[1] !== undefined) rows.set(match[1], match[2] ?? "");
  }
  return rows;
}

for (const [heading, fields] of sections) {
  test(`docs/api.md agrees with the code: ${heading}`, () => {
    const expected = Object.entries(fields).map(([name, field]) => [
      name,
      `${words[field.treatment]} | ${field.note}`,
    ]);
    expect(Object.fromEntries(rowsUnder(heading))).toEqual(Object.fromEntries(expected));
  });
}

test("a refused field is named by its error, and passes when it asks for nothing", () => {
  for (const [, fields] of sections) {
    for (const [name, field] of Object.entries(fields)) {
      const check = (value: unknown) => () => checkNames({ [name]: value }, fields, "refuse");
      expect(check(null)).not.toThrow();
      if (field.treatment === "refused") expect(check({ some: "thing" })).toThrow(`'${name}'`);
      else expect(check({ some: "thing" })).not.toThrow();
    }
  }
});

test("harmless values of refused fields pass", () => {
  const harmless = {
    functions: [],
    tools: [],
    tool_choice: "none",
    modalities: ["text"],
    detokenize: true,
    length_penalty: 1,
  };
  expect(() => checkNames(harmless, chatFields, "refuse")).not.toThrow();
  expect(() => checkNames({ suffix: "" }, completionFields, "refuse")).not.toThrow();
  const asks = { modalities: ["audio"] };
  expect(() => checkNames(asks, chatFields, "refuse")).toThrow("'modalities'");
});

test("fields of Object.prototype are unknown like any other", () => {
  for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
    const body = JSON.parse(`{"${name}": 1}`) as object;
    expect(() => checkNames(body, chatFields, "refuse")).toThrow("Unknown parameter");
    expect(() => checkNames(body, chatFields, "ignore")).not.toThrow();
  }
});

test("at most 64 fields that are not known are passed over, in a message as in the body", () => {
  const unknown = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`odd_${i}`, i]));
  for (const where of ["", "messages[2]"]) {
    expect(() => checkNames(unknown(64), messageFields, "ignore", where)).not.toThrow();
    expect(() => checkNames(unknown(65), messageFields, "ignore", where)).toThrow("more than 64");
  }
});

test("the OpenAPI page says of every field what happens, and marks the required ones", () => {
  const { schemas } = openApiDocument("1", dialects, jsonRoutes).components;
  const requests = dialects.map(({ page }) => schemas[page.schema] as RequestSchema);
  for (const [i, { fields }] of dialects.entries()) {
    const { properties, "x-refused": refused } = requests[i]!;
    const of = (is: boolean) =>
      Object.entries(fields).filter(([, field]) => (field.treatment === "refused") === is);
    expect(Object.keys(properties).sort()).toEqual(
      of(false)
        .map(([name]) => name)
        .sort(),
    );
    expect(refused).toEqual(Object.fromEntries(of(true).map(([name, { note }]) => [name, note])));
    for (const [name, { treatment }] of of(false)) {
      const says = String(properties[name]!["description"]).startsWith("Accepted, ignored.");
      expect([name, says]).toEqual([name, treatment === "ignored"]);
    }
  }
  const [chatRequest, completionRequest, embeddingRequest] = requests;
  expect([...chatRequest!.required].sort()).toEqual(["messages", "model"]);
  expect([...completionRequest!.required].sort()).toEqual(["model", "prompt"]);
  expect([...embeddingRequest!.required].sort()).toEqual(["input", "model"]);
});

const ANTHROPIC = "@anthropic-ai/sdk/resources";

const declarations: readonly (readonly [file: string, type: string, fields: Fields])[] = [
  [
    "openai/resources/chat/completions/completions.d.ts",
    "ChatCompletionCreateParamsBase",
    chatFields,
  ],
  ["openai/resources/completions.d.ts", "CompletionCreateParamsBase", completionFields],
  ["openai/resources/embeddings.d.ts", "EmbeddingCreateParams", embeddingFields],
  ["openai/resources/files.d.ts", "FileCreateParams", uploadFields],
  ["openai/resources/batches.d.ts", "BatchCreateParams", batchFields],
  [`${ANTHROPIC}/messages/messages.d.ts`, "MessageCreateParamsBase", messagesFields],
  [`${ANTHROPIC}/beta/messages/messages.d.ts`, "MessageCreateParamsBase", messagesFields],
  [`${ANTHROPIC}/messages/messages.d.ts`, "MessageCountTokensParams", promptFields],
  [`${ANTHROPIC}/beta/messages/messages.d.ts`, "MessageCountTokensParams", promptFields],
];

for (const [file, type, fields] of declarations) {
  test(`every field of ${type} in ${file} has its row`, () => {
    const path = join(import.meta.dir, "../../../node_modules", file);
    const text = readFileSync(path, "utf8");
    const from = text.indexOf(`export interface ${type}`);
    const block = text.slice(from, text.indexOf("\n}", from));
    const names = [...block.matchAll(/^ {4}([a-z_]+)\??:/gm)].map((match) => match[1] ?? "");
    expect(names.length).toBeGreaterThan(2);
    expect(names.filter((name) => !(name in fields))).toEqual([]);
  });
}

/** Nobody reads it: the client is gone. */
const UNSEEN_CODES = ["client_closed_request"];
const errorRows = page
  .slice(page.indexOf("\n## Errors"), page.indexOf("\n## `POST /v1/chat/"))
  .split("\n");
const root = join(import.meta.dir, "../../..");
const codes = [...new Bun.Glob("actors/frontend/**/*.ts").scanSync(root)].flatMap((file) => [
  ...readFileSync(join(root, file), "utf8").matchAll(/new ApiError\(\s*(\d+),\s*"(\w+)"/g),
]);

test("every code of an error stands in a row of its status", () => {
  expect(codes.length).toBeGreaterThan(40);
  const missing = codes
    .map(([, status, code]) => ({ status, code }))
    .filter(({ code }) => !UNSEEN_CODES.includes(code!))
    .filter(({ status, code }) =>
      errorRows.every((row) => !(row.startsWith(`| ${status} |`) && row.includes(`\`${code}\``))),
    );
  expect(missing).toEqual([]);
});
