/** A request's body as it comes, for routes that read it part by part. */
import type { Clock } from "../../../runtime/capabilities.ts";
import { ApiError } from "../api/api-error.ts";
import type { Upload } from "../api/json-route.ts";

/** `quiet_ms`: between two parts of the body. */
export function uploadOf(request: Request, clock: Clock, quiet_ms: number): Upload {
  const reader = request.body?.getReader();
  const announced = request.headers.get("content-length");
  return {
    type: request.headers.get("content-type"),
    length_bytes: announced === null ? undefined : Number(announced),
    next: () => nextPart(reader, clock, quiet_ms),
    stop: () => void reader?.cancel().catch(() => {}),
  };
}

type Reader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read"> | undefined;

async function nextPart(reader: Reader, clock: Clock, quiet_ms: number) {
  if (reader === undefined) return undefined;
  let late: () => void = () => {};
  const silence = new Promise<never>((_, reject) => {
    late = () => reject(tooLate());
  });
  const timer = clock.after(quiet_ms, () => late());
  try {
    const { done, value } = await Promise.race([reader.read(), silence]);
    return done ? undefined : value;
  } catch (error) {
    throw error instanceof ApiError ? error : cutOff();
  } finally {
    clock.cancel(timer);
  }
}

const tooLate = () =>
  new ApiError(
    408,
    "request_timeout",
    "The upload came to a halt. Send it again; nothing of it is kept.",
    null,
    { Connection: "close" },
  );

export const cutOff = () =>
  new ApiError(
    400,
    "upload_cut_off",
    "The upload ended before it was complete. Send it again; nothing of it is kept.",
    null,
    { Connection: "close" },
  );
