/** Which server this is, and whether this page may act. */
import { getJson } from "./http.ts";
import { Store } from "./store.ts";
import { token } from "./token.ts";
import type { Me } from "./types.ts";

/** Undefined until the server has answered. */
export const me = new Store<Me | undefined>(undefined);

const AGAIN_MS = 3_000;

/** Asks until there is an answer. */
export async function askMe(): Promise<void> {
  try {
    me.set(await getJson<Me>("/api/me"));
  } catch {
    setTimeout(() => void askMe(), AGAIN_MS);
  }
}

/** Buttons that act are shown; where a token is lacking, the dialog asks for it. */
export const showsActs = (who: Me | undefined): boolean =>
  who !== undefined && !who.read_only && (who.can_act || who.token_needed);

export const needsToken = (who: Me | undefined): boolean =>
  who?.token_needed === true && token.value === "";
