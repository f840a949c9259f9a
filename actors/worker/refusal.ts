/** Refusals of a worker. */
import type { RefusalCode, Refused } from "../../proto/index.ts";

export type Refusal = {
  readonly code: RefusalCode;
  readonly message: string;
  readonly not_yet?: boolean | undefined;
};

export function refused(request: string, { code, message, not_yet }: Refusal): Refused {
  const refusal: Refused = { kind: "refused", request, code, message, retry_after_ms: 0 };
  return not_yet === undefined ? refusal : { ...refusal, not_yet };
}
