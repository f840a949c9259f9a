/** Which web pages may call /v1, and the answer to their preflight. */
import { ApiError, clip } from "../api/api-error.ts";

/** `*`: every page; else origins, among them `local` for the pages of this machine. */
export type CorsOrigins = "*" | readonly string[];

type HeaderRecord = Record<string, string>;

/**
 * `--cors-origin`: `auto`, `*`, `none`, or `local` and origins separated by commas. A server
 * without keys takes requests from pages of its own machine only; else any page that its user looks
 * at could compute here. With keys, a page of any origin may send requests, as it has to know one.
 */
export function readOrigins(flag: string, keyed: boolean): CorsOrigins {
  const items = flag
    .split(",")
    .map((item) => item.trim().toLowerCase().replace(/\/$/, ""))
    .filter((item) => item !== "" && item !== "none");
  if (items.includes("*")) return "*";
  if (!items.includes("auto")) return items;
  return keyed ? "*" : ["local", ...items.filter((item) => item !== "auto")];
}

/** `origin`: the page, as the browser names it; `host`: the request's Host header. */
export function isAllowedOrigin(
  origins: CorsOrigins,
  origin: string,
  host: string | null,
): boolean {
  if (origins === "*" || origins.includes(origin)) return true;
  if (origins.includes("local") && LOCAL_PAGE.test(origin)) return true;
  // A page that this server served under its address. A host name would prove nothing, because
  // anybody's name may be made to point here.
  return ADDRESS_PAGE.test(origin) && origin.slice(origin.indexOf("//") + 2) === host;
}

const LOCAL_PAGE = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;
const ADDRESS_PAGE = /^https?:\/\/(?:\d{1,3}(?:\.\d{1,3}){3}|\[[\da-f:.]+\])(?::\d{1,5})?$/;

/**
 * Throws ApiError (403) before anything is done for a page that may not use this server. A browser
 * sends a simple request in any case, and only then withholds the answer from the page.
 */
export function checkOrigin(origins: CorsOrigins, request: Request): void {
  if (origins === "*") return;
  const { headers, method } = request;
  const origin = headers.get("origin");
  if (origin !== null) {
    if (!isAllowedOrigin(origins, origin, headers.get("host"))) throw foreignPage(origin);
  } else if (method !== "POST" && headers.get("sec-fetch-site") === "cross-site") {
    // A browser sends no Origin header when it loads images and scripts of a page.
    if (headers.get("sec-fetch-mode") !== "navigate") throw foreignPage("another site");
  }
}

const foreignPage = (origin: string) =>
  new ApiError(
    403,
    "origin_not_allowed",
    `Web pages of ${clip(origin)} may not use this server. Its operator can allow them: start it ` +
      "with --cors-origin and the page's origin (as in --cors-origin https://app.example), or " +
      "with an --api-key.",
  );

/** Adds the headers that let a page read the answer. Only pages send an Origin header. */
export function allowOrigin(headers: HeaderRecord, origins: CorsOrigins, request: Headers): void {
  if (origins === "*") {
    headers["Access-Control-Allow-Origin"] = "*";
  } else {
    // A cache in between must not give one page's answer to another page.
    headers["Vary"] = "Origin";
    const origin = request.get("origin");
    if (origin === null || !isAllowedOrigin(origins, origin, request.get("host"))) return;
    headers["Access-Control-Allow-Origin"] = origin;
  }
  headers["Access-Control-Expose-Headers"] = EXPOSED;
}

/** What clients in pages read beside the body: ids, and limits of a key. */
const EXPOSED = [
  ...["X-Request-Id", "Request-Id", "Retry-After"],
  ...["limit", "remaining", "reset"].flatMap((what) =>
    ["requests", "tokens"].map((unit) => `X-RateLimit-${what}-${unit}`),
  ),
].join(", ");

const PREFLIGHT_AGE_S = 86_400;

/** Headers of the answer (204) to OPTIONS; those of a preflight for pages that may come. */
export function preflightHeaders(
  origins: CorsOrigins,
  request: Headers,
  methods: string,
): HeaderRecord {
  const headers: HeaderRecord = { Allow: methods };
  allowOrigin(headers, origins, request);
  if (headers["Access-Control-Allow-Origin"] === undefined) return headers;
  headers["Access-Control-Allow-Methods"] = methods;
  const wanted = request.get("access-control-request-headers");
  headers["Access-Control-Allow-Headers"] = wanted ?? "Authorization, Content-Type";
  headers["Access-Control-Max-Age"] = String(PREFLIGHT_AGE_S);
  // A page of the internet may ask an address of a private network only with this header.
  if (request.get("access-control-request-private-network") === "true") {
    headers["Access-Control-Allow-Private-Network"] = "true";
  }
  return headers;
}
