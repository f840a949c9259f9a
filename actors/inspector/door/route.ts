/** Routes of the inspector's door: what one is, and which one a path names. Pure. */
import type { Call, Door } from "./door.ts";

export type Handler = (call: Call, door: Door) => Response | Promise<Response>;

export const routeMethods = ["GET", "POST", "PUT", "DELETE"] as const;
export type RouteMethod = (typeof routeMethods)[number];

export type Route = {
  /**
   * `{name}` stands for one segment, `{name...}` for one or more. Each segment is decoded, so that
   * `{id...}` is an actor's id with its slashes as %2F or as they are.
   */
  readonly path: string;
  /** HEAD comes with GET. What is not GET needs the right to act, unless `changes_nothing`. */
  readonly on: { readonly [M in RouteMethod]?: Handler };
  readonly changes_nothing?: true;
};

export type Found = { readonly route: Route; readonly params: Readonly<Record<string, string>> };

type Matcher = { readonly route: Route; readonly names: readonly string[]; readonly form: RegExp };

/** The first route of the list whose path fits counts. */
export class RouteTable {
  readonly #matchers: readonly Matcher[];

  constructor(routes: readonly Route[]) {
    this.#matchers = routes.map(matcherOf);
  }

  find(pathname: string): Found | undefined {
    for (const { route, names, form } of this.#matchers) {
      const found = form.exec(pathname);
      if (found === null) continue;
      const params = names.map((name, at) => [name, decoded(found[at + 1] ?? "")]);
      return { route, params: Object.fromEntries(params) };
    }
    return undefined;
  }
}

/** As the Allow header says it. */
export function allowOf({ on }: Route): string {
  const taken = routeMethods.filter((method) => on[method] !== undefined);
  return [...taken.flatMap((each) => (each === "GET" ? [each, "HEAD"] : [each])), "OPTIONS"].join(
    ", ",
  );
}

const PARAM = /\{(\w+)(\.\.\.)?\}/g;

function matcherOf(route: Route): Matcher {
  const names = [...route.path.matchAll(PARAM)].map((found) => found[1] ?? "");
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  let form = "";
  let from = 0;
  for (const found of route.path.matchAll(PARAM)) {
    form += literal(route.path.slice(from, found.index));
    form += found[2] === undefined ? "([^/]+)" : "(.+)";
    from = found.index + found[0].length;
  }
  return { route, names, form: new RegExp(`^${form}${literal(route.path.slice(from))}$`) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
