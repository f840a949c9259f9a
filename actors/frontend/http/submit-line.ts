/** A line of a batch as a request of this process's own: it takes the way of every other request. */
import type { LineAnswer, SubmitLine } from "../../batch/batch.ts";
import { LOWEST_PRIORITY } from "../../router/router.ts";
import { openAiErrorBody } from "../api/openai-format.ts";
import type { Door } from "./door.ts";

/** `pathOf`: where a route is, whose path in the tables is given. */
export function submitThrough(door: Door, pathOf: (path: string) => string): SubmitLine {
  return async ({ owner, path, body, stopped }) => {
    const request = new Request(`http://inside${pathOf(path)}`, {
      method: "POST",
      body,
      signal: stopped,
      headers: {
        "content-type": "application/json",
        "x-dynamo-request-strict-priority": `${LOWEST_PRIORITY}`,
      },
    });
    const response = await door.inside(request, owner);
    const request_id = response.headers.get("x-request-id") ?? "";
    const retry_after_ms = 1_000 * (Number(response.headers.get("retry-after")) || 0);
    try {
      return { status: response.status, request_id, body: await response.text(), retry_after_ms };
    } catch {
      return { ...broken(request_id), retry_after_ms };
    }
  };
}

/** The answer of a process that cannot ask its door now. */
export const noDoor = { ...unavailable(), retry_after_ms: 1_000 };

function unavailable(): LineAnswer {
  const message = "This server's door is being restarted.";
  const body = JSON.stringify(openAiErrorBody({ status: 503, code: "interrupted", message }));
  return { status: 503, request_id: "", body };
}

/** The head said 200, as the wait was long, and then the answer failed. */
function broken(request_id: string): LineAnswer {
  const message = "The answer broke off. Send the request again.";
  const body = JSON.stringify(openAiErrorBody({ status: 502, code: "engine_error", message }));
  return { status: 502, request_id, body };
}
