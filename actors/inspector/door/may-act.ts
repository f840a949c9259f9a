/** Who may change something over the inspector: pure. */
import { createHash, timingSafeEqual } from "node:crypto";

export type ActingRules = {
  /** `--inspector-read-only`: nobody may. */
  readonly read_only: boolean;
  /** Who acts must give it; absent where only this machine reaches the door. */
  readonly token?: string;
};

export type Refusal = { readonly status: 401 | 403; readonly error: string };

/** Undefined: it may. */
export function mayAct(request: Request, rules: ActingRules | undefined): Refusal | undefined {
  if (rules === undefined) return undefined;
  if (rules.read_only) {
    const error = "refused: this inspector only shows; start it without --inspector-read-only";
    return { status: 403, error };
  }
  if (rules.token === undefined || hasToken(request, rules.token)) return undefined;
  const error =
    "refused: acting needs the token that the cluster printed after its ready line, " +
    "as Authorization: Bearer TOKEN";
  return { status: 401, error };
}

/** For requests whose Authorization is an API key. */
export const TOKEN_HEADER = "x-inspector-token";

/** Who may have answers made over the inspector's port: where others reach it, who has the token. */
export function mayGenerate(request: Request, rules: ActingRules | undefined): boolean {
  if (request.method === "GET" || rules?.token === undefined) return true;
  return sameText(request.headers.get(TOKEN_HEADER) ?? "", rules.token);
}

const BEARER = /^bearer +(\S+)$/i;

function hasToken(request: Request, token: string): boolean {
  const given = BEARER.exec(request.headers.get("authorization")?.trim() ?? "")?.[1] ?? "";
  return sameText(given, token);
}

/** Takes equally long wherever the two differ. */
const sameText = (given: string, token: string): boolean =>
  timingSafeEqual(hashOf(given), hashOf(token));

/** Of one length for all texts, as the comparison wants it. */
const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();
