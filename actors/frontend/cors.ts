/** Which web pages may call /v1, and the answer to their preflight. */

export type CorsOrigins = "*" | readonly string[];

type HeaderRecord = Record<string, string>;

/** `--cors-origin`: `*`, origins separated by commas, or `none`, which switches CORS off. */
export function readOrigins(flag: string): CorsOrigins {
  if (flag.trim() === "*") return "*";
  if (flag.trim() === "none") return [];
  return flag
    .split(",")
    .map((origin) => origin.trim())
    .filter((origin) => origin !== "");
}

/** Adds what lets a page at `origin` (null: not a page) read the answer. */
export function allowOrigin(
  headers: HeaderRecord,
  origins: CorsOrigins,
  origin: string | null,
): void {
  if (origins === "*") {
    headers["Access-Control-Allow-Origin"] = "*";
  } else if (origins.length > 0) {
    headers["Vary"] = "Origin";
    if (origin === null || !origins.includes(origin)) return;
    headers["Access-Control-Allow-Origin"] = origin;
  } else {
    return;
  }
  headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After";
}

const preflightAge_s = 86_400;

/** Headers of the answer (204) to a preflight request. */
export function preflightHeaders(
  origins: CorsOrigins,
  request: Headers,
  methods: string,
): HeaderRecord {
  const headers: HeaderRecord = {};
  allowOrigin(headers, origins, request.get("origin"));
  headers["Access-Control-Allow-Methods"] = methods;
  headers["Access-Control-Allow-Headers"] =
    request.get("access-control-request-headers") ?? "Authorization, Content-Type";
  headers["Access-Control-Max-Age"] = String(preflightAge_s);
  return headers;
}
