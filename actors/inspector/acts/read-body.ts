/** The body of a request that changes something: short, JSON, and here in time. */
import type { Clock } from "../../../runtime/capabilities.ts";

const BODY_MOST_BYTES = 64 * 1024;
const BODY_MS = 10_000;

export type Body =
  | { readonly fields: Readonly<Record<string, unknown>> }
  | { readonly wrong: string };

const large: Body = { wrong: `a body has at most ${BODY_MOST_BYTES} bytes` };
const slow: Body = { wrong: `the body was not here within ${BODY_MS / 1_000} s` };

/** None is an empty object. */
export async function readBody(request: Request, clock: Clock): Promise<Body> {
  if (Number(request.headers.get("content-length") ?? 0) > BODY_MOST_BYTES) return large;
  const text = await shortText(request.body, clock);
  return typeof text === "string" ? fieldsIn(text) : text;
}

/** A body that comes in pieces says its length nowhere, so no more of it is read than may be. */
async function shortText(
  body: ReadableStream<Uint8Array> | null,
  clock: Clock,
): Promise<string | Body> {
  if (body === null) return "";
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let late = false;
  const timer = clock.after(BODY_MS, () => {
    late = true;
    void reader.cancel().catch(() => {});
  });
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (late) return slow;
      if (done) return text + decoder.decode();
      bytes += value.length;
      if (bytes > BODY_MOST_BYTES) {
        void reader.cancel().catch(() => {});
        return large;
      }
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    return { wrong: "the body broke off" };
  } finally {
    clock.cancel(timer);
  }
}

function fieldsIn(text: string): Body {
  if (text.trim() === "") return { fields: {} };
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === "object" && fields !== null && !Array.isArray(fields)) {
      return { fields: fields as Readonly<Record<string, unknown>> };
    }
  } catch {
    // It is no JSON at all.
  }
  return { wrong: "the body is one JSON object, or nothing" };
}
