/** What pages of other sites can make a visitor's browser send, and what the door makes of it. */
import { expect, test } from "bun:test";
import { guarded, pageHeaders } from "../../../actors/inspector/door/answers.ts";
import { mayAct } from "../../../actors/inspector/door/may-act.ts";
import { allowOf, RouteTable } from "../../../actors/inspector/door/route.ts";
import { routes } from "../../../actors/inspector/door/routes.ts";
import { checkRequest } from "../../../actors/inspector/door/security.ts";

const rules = { listens: "127.0.0.1", allow_hosts: [] };
type Headers = Readonly<Record<string, string>>;
const asked = (headers: Headers, method = "GET", path = "/api/tree") => {
  const host = headers["host"] ?? "127.0.0.1:8001";
  return new Request(`http://${host}${path}`, { method, headers: { host, ...headers } });
};
const isRefused = (request: Request) => "refused" in checkRequest(request, rules);

test("a name that was made to point here is refused, whatever else the request says", () => {
  for (const host of ["evil.example", "evil.example:8001", "10.0.0.1"]) {
    for (const method of ["GET", "POST", "DELETE", "PUT", "OPTIONS"]) {
      const own = { origin: `http://${host}`, "sec-fetch-site": "same-origin" };
      expect([host, isRefused(asked({ host, ...own }, method))]).toEqual([host, true]);
    }
  }
});

test("another site's page is refused on every method, its own page and no page are not", () => {
  const foreign: readonly Headers[] = [
    { origin: "http://evil.example" },
    { origin: "http://127.0.0.1:9999" },
    { origin: "http://localhost:8001" },
    { origin: "null" },
    { origin: "" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", origin: "http://127.0.0.1:8001" },
    { "sec-fetch-site": "other" },
  ];
  const own: readonly Headers[] = [
    {},
    { origin: "http://127.0.0.1:8001" },
    { origin: "https://127.0.0.1:8001", "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "none" },
  ];
  for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]) {
    for (const headers of foreign) {
      expect([method, headers, isRefused(asked(headers, method))]).toEqual([method, headers, true]);
    }
    for (const headers of own) {
      const found = isRefused(asked(headers, method));
      expect([method, headers, found]).toEqual([method, headers, false]);
    }
  }
});

test("a person may follow a link to the page, and to the page alone, not in a frame", () => {
  const visit = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
  };
  expect(isRefused(asked(visit, "GET", "/"))).toBe(false);
  expect(isRefused(asked(visit, "POST", "/"))).toBe(true);
  expect(isRefused(asked(visit, "GET", "/api/tree"))).toBe(true);
  expect(isRefused(asked({ ...visit, "sec-fetch-dest": "iframe" }, "GET", "/"))).toBe(true);
  expect(isRefused(asked({ ...visit, "sec-fetch-mode": "no-cors" }, "GET", "/"))).toBe(true);
  expect(isRefused(asked({ ...visit, origin: "http://evil.example" }, "GET", "/"))).toBe(true);
});

test("acting needs the token where there is one, and is refused where the door only shows", () => {
  const withToken = (authorization: string) => asked({ authorization }, "POST");
  expect(mayAct(asked({}, "POST"), undefined)).toBeUndefined();
  expect(mayAct(asked({}, "POST"), { read_only: false })).toBeUndefined();
  const rules = { read_only: false, token: "s3cret" };
  expect(mayAct(withToken("Bearer s3cret"), rules)).toBeUndefined();
  expect(mayAct(withToken("bearer  s3cret"), rules)).toBeUndefined();
  for (const wrong of ["", "s3cret", "Bearer", "Bearer s3cre", "Bearer s3crets", "Bearer S3CRET"]) {
    expect([wrong, mayAct(withToken(wrong), rules)?.status]).toEqual([wrong, 401]);
  }
  expect(mayAct(withToken("Bearer s3cret"), { ...rules, read_only: true })?.status).toBe(403);
});

test("the first route whose path fits counts, and its parts come decoded", () => {
  const on = { GET: () => new Response() };
  const table = new RouteTable([
    { path: "/a/{id...}/snapshot", on },
    { path: "/a/{id}", on: { POST: on.GET } },
    { path: "/a.b", on },
  ]);
  const found = (path: string) => {
    const it = table.find(path);
    return it && [it.route.path, it.params];
  };
  expect(found("/a/n%2Fx/snapshot")).toEqual(["/a/{id...}/snapshot", { id: "n/x" }]);
  expect(found("/a/n/x/snapshot")).toEqual(["/a/{id...}/snapshot", { id: "n/x" }]);
  expect(found("/a/n%2Fx")).toEqual(["/a/{id}", { id: "n/x" }]);
  expect(found("/a/%")).toEqual(["/a/{id}", { id: "%" }]);
  expect(found("/a/n/x")).toBeUndefined();
  expect(found("/axb")).toBeUndefined();
  expect(allowOf({ path: "/", on: { POST: on.GET, GET: on.GET } })).toBe(
    "GET, HEAD, POST, OPTIONS",
  );
});

test("no route's path is hidden by one before it", () => {
  const table = new RouteTable(routes);
  for (const route of routes) {
    const path = route.path.replace(/\{\w+(\.\.\.)?\}/g, "x");
    expect(table.find(path)?.route.path).toBe(route.path);
  }
});

test("answers cannot be framed, guessed or taken by other origins; what they say stays", () => {
  const { headers } = guarded(new Response("", { headers: { "cache-control": "max-age=1" } }));
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
  expect(headers.get("cache-control")).toBe("max-age=1");
  const policy = pageHeaders(["abc="], [])["content-security-policy"];
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'sha256-abc='");
  expect(policy).toContain("style-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
});
