/** The token that acting needs where the inspector is not on loopback; kept for this tab alone. */
import { Store } from "./store.ts";

const KEY = "troupe-token";

/** `#token=…` of a link that the start line printed is taken, and leaves the address. */
function given(): string {
  const [, found] = /[#&]token=([^&]+)/.exec(location.hash) ?? [];
  if (found === undefined) return sessionStorage.getItem(KEY) ?? "";
  const text = decodeURIComponent(found);
  sessionStorage.setItem(KEY, text);
  history.replaceState(null, "", location.hash.replace(/[#&]token=[^&]+/, "") || "#/");
  return text;
}

export const token = new Store(given());

export function setToken(text: string): void {
  sessionStorage.setItem(KEY, text);
  token.set(text);
}
