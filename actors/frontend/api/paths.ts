/** Where routes are. Pure. */

/** Where an operator wants routes: their paths in the tables → theirs. */
export type Paths = Readonly<Record<string, string>>;

export const STREAMS_PATH = "/v1/streams/{request}";

/** The path of a route that is `path` in its table; what stands below a path moves with it. */
export function placeOf(paths: Paths, path: string): string {
  for (const [from, to] of Object.entries(paths)) {
    if (path === from) return to;
    if (path.startsWith(`${from}/`)) return to + path.slice(from.length);
  }
  return path;
}
