import { pathsOf } from "./dialect.ts";
import { dialects } from "./dialects.ts";
import { jsonRoutes } from "./json-routes.ts";
import { STREAMS_PATH } from "./paths.ts";

/** The paths of all routes, as the tables have them, each once. */
export const tablePaths: readonly string[] = [
  ...new Set([STREAMS_PATH, ...dialects.flatMap(pathsOf), ...jsonRoutes.map(({ path }) => path)]),
];
