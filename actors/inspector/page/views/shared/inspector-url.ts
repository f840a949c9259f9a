/** Where the inspector is, for a page that the API's own port served; undefined: none is known. */
import { config } from "../../data/config.ts";

export function inspectorUrl(): string | undefined {
  const url = config.inspector === null ? null : URL.parse(config.inspector);
  if (url === null) return undefined;
  // One that listens on all addresses is where this page came from.
  if (["0.0.0.0", "[::]"].includes(url.hostname)) url.hostname = location.hostname;
  return url.href;
}
