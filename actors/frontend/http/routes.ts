/**
 * Routes: a request's method and path → what it asks for; pure. The POST routes are those of the
 * dialects; the others are here.
 */
import type { Dialect } from "../api/dialect.ts";

export type Route =
  | { readonly kind: "dialect"; readonly dialect: Dialect }
  | { readonly kind: "models" }
  | { readonly kind: "model"; readonly id: string }
  | { readonly kind: "resume"; readonly id: string }
  | { readonly kind: "health" | "live" | "metrics" | "openapi" }
  | { readonly kind: "preflight"; readonly allow: string }
  | { readonly kind: "wrong_method"; readonly allow: string }
  | { readonly kind: "unknown" };

type Known = { readonly allow: "GET" | "POST"; readonly route: Route };

/** Routes by path. */
export type Routes = ReadonlyMap<string, Known>;

const fixedRoutes: readonly (readonly [string, Known])[] = [
  ["/v1/models", { allow: "GET", route: { kind: "models" } }],
  ["/health", { allow: "GET", route: { kind: "health" } }],
  ["/live", { allow: "GET", route: { kind: "live" } }],
  ["/metrics", { allow: "GET", route: { kind: "metrics" } }],
  ["/openapi.json", { allow: "GET", route: { kind: "openapi" } }],
];

export function routesOf(dialects: readonly Dialect[]): Routes {
  const posts = dialects.map((dialect): readonly [string, Known] => [
    dialect.path,
    { allow: "POST", route: { kind: "dialect", dialect } },
  ]);
  return new Map([...posts, ...fixedRoutes]);
}

const MODEL_PREFIX = "/v1/models/";
const STREAM_PREFIX = "/v1/streams/";

/** A trailing slash is forgiven; model ids may hold slashes, plain or as %2F. */
export function routeOf(routes: Routes, method: string, path: string): Route {
  const plain = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  const found = routes.get(plain) ?? streamRoute(plain) ?? modelRoute(plain);
  if (found === undefined) return { kind: "unknown" };
  if (method === "OPTIONS") return { kind: "preflight", allow: allowed(found) };
  const fits = method === found.allow || (method === "HEAD" && hasHead(found));
  return fits ? found.route : { kind: "wrong_method", allow: allowed(found) };
}

/** HEAD of a stream would have to make the stream. */
const hasHead = ({ allow, route }: Known): boolean => allow === "GET" && route.kind !== "resume";

const allowed = (known: Known): string =>
  `${known.allow}${hasHead(known) ? ", HEAD" : ""}, OPTIONS`;

function streamRoute(path: string): Known | undefined {
  if (!path.startsWith(STREAM_PREFIX)) return undefined;
  const id = path.slice(STREAM_PREFIX.length);
  return id === "" ? undefined : { allow: "GET", route: { kind: "resume", id } };
}

function modelRoute(path: string): Known | undefined {
  if (!path.startsWith(MODEL_PREFIX)) return undefined;
  const raw = path.slice(MODEL_PREFIX.length);
  if (raw === "") return undefined;
  let id = raw;
  try {
    id = decodeURIComponent(raw);
  } catch {
    // The name is not URL-encoded: it is looked up as it is, and is not found.
  }
  return { allow: "GET", route: { kind: "model", id } };
}

/**
 * The path of a URL, without query; cheaper than parsing a URL for each request. For a request
 * without a Host header the server gives a path alone, in which "://" belongs to no scheme.
 */
export function pathOf(url: string): string {
  const host = url.startsWith("/") ? -1 : url.indexOf("://");
  const start = url.indexOf("/", host < 0 ? 0 : host + 3);
  if (start < 0) return "/";
  for (let i = start; i < url.length; i += 1) {
    const char = url.charCodeAt(i);
    if (char === 0x3f || char === 0x23) return url.slice(start, i);
  }
  return url.slice(start);
}

/** True where keys and CORS apply. */
export const isPublicApi = (path: string): boolean => path === "/v1" || path.startsWith("/v1/");
