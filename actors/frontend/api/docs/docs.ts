/** GET /openapi.json, and GET /docs, which is the same for readers. */
import { type JsonRoute, jsonAnswer } from "../json-route.ts";
import { docsPage } from "./docs-page.ts";

export const openApi: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/openapi.json",
  access: "open",
  page: { summary: "All routes and their fields, for machines" },
  handle: ({ server }) => jsonAnswer(server.openapi()),
};

const PAGE_HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  // All of it is in the page: nothing is fetched, and nothing runs.
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
  "X-Content-Type-Options": "nosniff",
};

export const docs: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/docs",
  access: "open",
  page: { summary: "All routes and their fields, for readers" },
  handle: ({ server }) => ({
    status: 200,
    body: docsPage(server.openapi()),
    headers: PAGE_HEADERS,
  }),
};
