/**
 * No page of another site may read or change anything with its visitor's browser. Three headers
 * show such a page, each where the others do not: Host (a foreign name that was made to point here:
 * DNS rebinding), Origin (forms, scripts and WebSockets of other sites) and Sec-Fetch-Site (what
 * else a browser loads for them). Pure.
 */
import { isAllowedHost } from "../allowed-host.ts";

export type HostRules = { readonly listens: string; readonly allow_hosts: readonly string[] };

/** The request's address, or why it is refused. */
export type Checked = { readonly url: URL } | { readonly refused: string };

export function checkRequest(request: Request, rules: HostRules): Checked {
  const named = request.headers.get("host");
  // The URL is built from the Host header, so an invalid header gives no URL.
  const url = isAllowedHost(named, rules.listens, rules.allow_hosts)
    ? URL.parse(request.url)
    : null;
  if (url === null) return { refused: otherHost(named) };
  if (!isOwnPage(request, url)) {
    return { refused: "refused: the request comes from another site's page" };
  }
  return { url };
}

function isOwnPage(request: Request, url: URL): boolean {
  const { headers } = request;
  const origin = headers.get("origin");
  // By host and port: behind somebody's TLS the page is https and this door is not.
  if (origin !== null && URL.parse(origin)?.host !== url.host) return false;
  const site = headers.get("sec-fetch-site");
  if (site === null || site === "same-origin" || site === "none") return true;
  return isVisit(request, url);
}

/** A person follows a link to the page; the page it comes from cannot look into it. */
const isVisit = (request: Request, url: URL): boolean =>
  request.method === "GET" &&
  url.pathname === "/" &&
  request.headers.get("sec-fetch-mode") === "navigate" &&
  request.headers.get("sec-fetch-dest") === "document";

const otherHost = (named: string | null) =>
  `refused: ${
    named === null
      ? "the request has no Host header, and it must have"
      : `the Host header says ${JSON.stringify(named.slice(0, 128))}, which is not`
  } a name of this inspector. ` +
  "Use localhost, 127.0.0.1 or the address of --inspector-host, or start " +
  "the cluster with --inspector-allow-host NAME.";
