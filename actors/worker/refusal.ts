/** Refusals of a worker. */
import type { RefusalCode, Refused } from "../../proto/index.ts";

export type Refusal = { readonly code: RefusalCode; readonly message: string };

export function refused(request: string, { code, message }: Refusal): Refused {
  return { kind: "refused", request, code, message, retry_after_ms: 0 };
}
