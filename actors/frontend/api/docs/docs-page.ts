/**
 * openapi.json as one HTML page: no script, nothing from elsewhere, light and dark as the reader's
 * system is. Every text that comes from the document is escaped.
 */
import {
  IGNORED,
  type OpenApiDocument,
  type Operation,
  type RequestSchema,
} from "../openapi-document.ts";
import { DOCS_STYLE } from "./docs-style.ts";
import { typeText } from "./type-text.ts";

/** The document of a door stays the same, and so does its page. */
const pages = new WeakMap<OpenApiDocument, string>();

export function docsPage(document: OpenApiDocument): string {
  let page = pages.get(document);
  if (page === undefined) {
    page = pageOf(document);
    pages.set(document, page);
  }
  return page;
}

type Route = { readonly path: string; readonly method: string; readonly operation: Operation };

function pageOf(document: OpenApiDocument): string {
  const { title, version } = document.info;
  const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, operation]): Route => ({ path, method: method.toUpperCase(), operation }),
    ),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)} API</title>
<style>${DOCS_STYLE}</style>
</head>
<body>
<header>
<h1>${escaped(title)} API <small>${escaped(version)}</small></h1>
<p>Any client of OpenAI works with the base URL of this server and <code>/v1</code>. For machines
this page is <a href="openapi.json"><code>openapi.json</code></a>. Null counts as absent, and
unknown fields are a 400. Where the server was started with keys, those marked <span class="key">key</span> need
<code>Authorization: Bearer KEY</code>. Names in <em>this type</em> are sections of docs/api.md,
which comes with the server's source and says more of each route.</p>
</header>
<nav aria-label="Routes"><ul>
${routes.map(linkOf).join("\n")}
</ul></nav>
<main>
${routes.map((route) => sectionOf(document, route)).join("\n")}
</main>
</body>
</html>
`;
}

const anchorOf = ({ path, method }: Route) =>
  `${method}${path}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");

const nameOf = ({ path, method }: Route) =>
  `<span class="method ${method.toLowerCase()}">${method}</span> <code>${pathText(path)}</code>`;

/** Long paths may break behind their slashes. */
const pathText = (path: string) => escaped(path).replaceAll("/", "/<wbr>");

const linkOf = (route: Route) =>
  `<li><a href="#${anchorOf(route)}">${nameOf(route)}</a> ` +
  `<span>${prose(route.operation.summary)}</span></li>`;

function sectionOf(document: OpenApiDocument, route: Route): string {
  const { operation } = route;
  const key = operation.security === undefined ? ' <span class="key">key</span>' : "";
  const parameters = operation.parameters.map((parameter) =>
    rowOf(parameter.name, {
      type: `text, ${places[parameter.in]}`,
      required: parameter.required,
      note: parameter.description ?? "",
    }),
  );
  const schema = schemaOf(document, operation);
  return `<section id="${anchorOf(route)}">
<h2>${nameOf(route)}${key}</h2>
<p>${prose(operation.summary)}</p>
${tableOf([...parameters, ...(schema === undefined ? [] : fieldRows(schema))])}
${schema === undefined ? "" : refusedList(schema)}
</section>`;
}

const places = { path: "in the path", header: "header", query: "behind the ?" } as const;

function schemaOf(document: OpenApiDocument, operation: Operation): RequestSchema | undefined {
  const content = operation.requestBody?.content as
    | Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>
    | undefined;
  const [form] = Object.values(content ?? {});
  const name = form?.schema.$ref.split("/").at(-1);
  return name === undefined ? undefined : (document.components.schemas[name] as RequestSchema);
}

type Row = {
  readonly type: string;
  readonly required: boolean;
  readonly note: string;
  readonly ignored?: boolean;
};

/** Required fields first, ignored ones last. */
function fieldRows({ properties, required }: RequestSchema): readonly string[] {
  const rows = Object.entries(properties).map(([name, schema]): readonly [string, Row] => {
    const note = String(schema["description"] ?? "");
    const ignored = note.startsWith(IGNORED);
    const type = ignored ? "" : typeText(schema);
    return [name, { type, required: required.includes(name), note, ignored }];
  });
  const rank = ({ required, ignored }: Row) => (required ? 0 : ignored === true ? 2 : 1);
  return rows.sort(([, a], [, b]) => rank(a) - rank(b)).map(([name, row]) => rowOf(name, row));
}

const rowOf = (name: string, { type, required, note, ignored }: Row) =>
  `<tr${ignored === true ? ' class="ignored"' : ""}><td><code>${escaped(name)}</code>` +
  `${required ? " <b>required</b>" : ""}</td><td>${escaped(type)}</td><td>${prose(note)}</td></tr>`;

const tableOf = (rows: readonly string[]) =>
  rows.length === 0
    ? ""
    : `<table><thead><tr><th>Field</th><th>Type</th><th>What happens</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table>`;

function refusedList(schema: RequestSchema): string {
  const refused = Object.entries(schema["x-refused"]);
  if (refused.length === 0) return "";
  const items = refused.map(
    ([name, why]) => `<dt><code>${escaped(name)}</code></dt><dd>${prose(why)}</dd>`,
  );
  return `<details><summary>${refused.length} fields that are refused (400)</summary><dl>
${items.join("\n")}
</dl></details>`;
}

/** Text with `code` in backticks and *words* in stars. */
const prose = (text: string) =>
  escaped(text)
    .replace(/`([^`]+)`/g, "<code>$1</code>")
    .replace(/\*(\w[\w ]*)\*/g, "<em>$1</em>");

const NAMED: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (text: string) => text.replace(/[&<>"']/g, (char) => NAMED[char] ?? char);
