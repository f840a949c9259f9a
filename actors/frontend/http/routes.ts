/**
 * Routes: a request's method and path → what it asks for; pure. The routes are those of the two
 * tables, `api/dialects.ts` and `api/json-routes.ts`, and streams to resume.
 */
import { type Dialect, pathsOf } from "../api/dialect.ts";
import type { JsonRoute } from "../api/json-route.ts";
import { type Paths, placeOf, STREAMS_PATH } from "../api/paths.ts";

export type Route =
  | { readonly kind: "dialect"; readonly dialect: Dialect }
  | ({ readonly kind: "json"; readonly route: JsonRoute } & PathParams)
  | { readonly kind: "resume"; readonly id: string }
  | { readonly kind: "preflight"; readonly allow: string }
  | { readonly kind: "wrong_method"; readonly allow: string }
  | { readonly kind: "unknown" };

/** What stands for the first `{name}` of a path, "" where there is none, and for the second. */
export type PathParams = { readonly param: string; readonly second?: string | undefined };

const NO_PARAMS: PathParams = { param: "" };

/** `guarded`: keys and CORS apply. */
export type Found = { readonly route: Route; readonly guarded: boolean };

/** What one method of a path asks for. */
type Target = { readonly method: string; readonly found: Found };

/** All methods of one path. */
type Known = { readonly guarded: boolean; readonly targets: readonly Target[] };

/** `middle`: what stands between two parameters; undefined: there is one. */
type Pattern = Known & {
  readonly prefix: string;
  readonly middle: string | undefined;
  readonly suffix: string;
};

export type Routes = {
  readonly plain: ReadonlyMap<string, Known>;
  /** Paths with a `{name}`, those with the longest fixed part first. */
  readonly patterns: readonly Pattern[];
};

export function routesOf(
  dialects: readonly Dialect[],
  jsonRoutes: readonly JsonRoute[],
  paths: Paths = {},
): Routes {
  const byPath = new Map<string, Target[]>();
  const add = (path: string, method: string, route: Route, guarded: boolean) => {
    const place = placeOf(paths, path);
    byPath.set(place, [...(byPath.get(place) ?? []), { method, found: { route, guarded } }]);
  };
  for (const dialect of dialects) {
    for (const path of pathsOf(dialect)) add(path, "POST", { kind: "dialect", dialect }, true);
  }
  for (const route of jsonRoutes) {
    const { path, method, access } = route;
    add(path, method, { kind: "json", route, ...NO_PARAMS }, access === "key");
  }
  add(STREAMS_PATH, "GET", { kind: "resume", id: "" }, true);
  const plain = new Map<string, Known>();
  const patterns: Pattern[] = [];
  for (const [path, targets] of byPath) {
    const known = { guarded: targets.every(({ found }) => found.guarded), targets };
    const [prefix = "", ...fixed] = path.split(/\{\w+\}/);
    const suffix = fixed.at(-1);
    const middle = fixed.length > 1 ? fixed[0] : undefined;
    if (suffix === undefined) plain.set(path, known);
    else patterns.push({ ...known, prefix, middle, suffix });
  }
  const fixed = ({ prefix, middle = "", suffix }: Pattern) =>
    prefix.length + middle.length + suffix.length;
  return { plain, patterns: patterns.sort((a, b) => fixed(b) - fixed(a)) };
}

/** A trailing slash is forgiven; a path's parameter may hold slashes, plain or as %2F. */
export function routeOf(routes: Routes, method: string, path: string): Found {
  const place = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  const known = routes.plain.get(place);
  if (known !== undefined) return found(known, method);
  for (const pattern of routes.patterns) {
    const { prefix, suffix } = pattern;
    if (place.length <= prefix.length + suffix.length) continue;
    if (!place.startsWith(prefix) || !place.endsWith(suffix)) continue;
    const rest = place.slice(prefix.length, place.length - suffix.length);
    const params = paramsOf(rest, pattern.middle);
    if (params !== undefined) return withParam(found(pattern, method), params);
  }
  return { route: { kind: "unknown" }, guarded: isPublicApi(path) };
}

function found(known: Known, method: string): Found {
  const { targets, guarded } = known;
  if (method === "OPTIONS") {
    return { route: { kind: "preflight", allow: allowed(targets) }, guarded };
  }
  for (const target of targets) {
    if (target.method === method || (method === "HEAD" && hasHead(target))) return target.found;
  }
  return { route: { kind: "wrong_method", allow: allowed(targets) }, guarded };
}

/** undefined: it does not have both. */
function paramsOf(rest: string, middle: string | undefined): PathParams | undefined {
  if (middle === undefined) return { param: rest };
  const at = rest.indexOf(middle);
  if (at <= 0) return undefined;
  return { param: rest.slice(0, at), second: rest.slice(at + middle.length) };
}

function withParam({ route, guarded }: Found, raw: PathParams): Found {
  if (route.kind === "resume") return { route: { ...route, id: raw.param }, guarded };
  if (route.kind !== "json") return { route, guarded };
  const { param, second } = raw;
  const params = { param: decoded(param), second: second && decoded(second) };
  return { route: { ...route, ...params }, guarded };
}

function decoded(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    // The name is not URL-encoded: it is looked up as it is, and is not found.
    return raw;
  }
}

/** HEAD of a stream would have to make the stream. */
const hasHead = ({ method, found }: Target): boolean =>
  method === "GET" && found.route.kind !== "resume";

const allowed = (targets: readonly Target[]): string =>
  [
    ...targets.flatMap((target) => (hasHead(target) ? ["GET", "HEAD"] : [target.method])),
    "OPTIONS",
  ].join(", ");

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

/** Of paths that are in no table: who has no key is not told which these are. */
const isPublicApi = (path: string): boolean => path === "/v1" || path.startsWith("/v1/");
