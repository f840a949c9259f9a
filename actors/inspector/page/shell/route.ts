/** Where the reader is: `#/VIEW/REST`. */
import { config } from "../data/config.ts";
import { Store } from "../data/store.ts";

export type Place = {
  readonly view: string;
  /** What stands behind the view's name, decoded: an id, or nothing. */
  readonly rest: string;
};

const FIRST = config.mode === "chat" ? "chat" : "tree";

function read(): Place {
  const [, view = "", rest = ""] = /^#\/([^/]*)\/?(.*)$/.exec(location.hash) ?? [];
  return { view: view || FIRST, rest: decoded(rest) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const place = new Store<Place>(read());

addEventListener("hashchange", () => place.set(read()));

export const hrefOf = (view: string, rest = ""): string =>
  rest === "" ? `#/${view}` : `#/${view}/${encodeURIComponent(rest)}`;

export function go(view: string, rest = ""): void {
  location.hash = hrefOf(view, rest);
}
