/**
 * `/v1/*` is passed through to the OpenAI port, so that the page's chat is of one origin with it.
 * Bodies flow through as they come, in both directions; who leaves here leaves there too.
 */
import type { Clock } from "../../../../runtime/capabilities.ts";
import { errorText } from "../../../../runtime/error-text.ts";
import { isLoopbackHost } from "../../allowed-host.ts";
import type { Call, Door } from "../door.ts";
import { mayGenerate, TOKEN_HEADER } from "../may-act.ts";
import type { Handler, Route } from "../route.ts";

/** Under way at once, over all pages. */
const LIVE_MAX = 64;
/** A longer body is sent on in pieces, and is the frontend's to wait for. */
const WHOLE_BODY_BYTES = 1024 * 1024;
/** As long as a frontend waits. */
const BODY_MS = 60_000;

/** Of one connection alone, or of the page that asks; the key and what is asked go along. */
const keptBack = new Set([
  ...["host", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"],
  ...["transfer-encoding", "content-length", "accept-encoding", "origin", "referer", "cookie"],
  TOKEN_HEADER,
]);
const keptBackOfAnswers = new Set([
  ...["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"],
  ...["set-cookie"],
]);

type Body = ArrayBuffer | ReadableStream<Uint8Array> | null;

const pass: Handler = async (call, door) => {
  // Where others reach the inspector, the OpenAI port may be this machine's alone all the same.
  const isOurs = isLoopbackHost(door.options.host);
  if (!isOurs && !mayGenerate(call.request, door.options.acting)) {
    const how = `give it as ${TOKEN_HEADER}, open the page by the link that was printed with it`;
    return refused(
      `answers need the token that the cluster printed after its ready line: ${how}, or ask the ` +
        "OpenAI port itself",
      403,
      "inspector_token_needed",
    );
  }
  const origin = door.options.about?.openai() ?? null;
  if (origin === null) {
    return refused("this machine has no frontend; ask the inspector of one that has", 503);
  }
  const { passing } = door;
  const body = await bodyOf(call.request, door.system.capabilities.clock);
  if (body === "late") {
    return refused(`the request's body was not here within ${BODY_MS / 1_000} s`, 408);
  }
  if (passing.count >= LIVE_MAX) return refused("too many answers are under way; try again", 503);
  passing.count++;
  try {
    const answer = await ask(call, door, origin, body);
    const headers = new Headers();
    for (const [name, value] of answer.headers) {
      const held = keptBackOfAnswers.has(name) || name.startsWith("access-control-");
      if (!held) headers.append(name, value);
    }
    const { status, body: said } = answer;
    if (said === null) passing.count--;
    return new Response(said && through(said, () => passing.count--), { status, headers });
  } catch (error) {
    passing.count--;
    return refused(`the frontend at ${origin} does not answer: ${errorText(error)}`, 502);
  }
};

/** Who sends slowly, or leaves meanwhile, takes no place of those that are under way. */
async function bodyOf(request: Request, clock: Clock): Promise<Body | "late"> {
  const length_bytes = Number(request.headers.get("content-length") ?? Number.NaN);
  if (!(length_bytes <= WHOLE_BODY_BYTES)) return request.body;
  const late = Promise.withResolvers<"late">();
  const timer = clock.after(BODY_MS, () => late.resolve("late"));
  try {
    return await Promise.race([request.arrayBuffer(), late.promise]);
  } catch {
    return "late";
  } finally {
    clock.cancel(timer);
  }
}

async function ask(
  { request, url }: Call,
  door: Door,
  origin: string,
  body: Body,
): Promise<Response> {
  const headers = new Headers();
  for (const [name, value] of request.headers) {
    if (!keptBack.has(name) && !name.startsWith("sec-")) headers.append(name, value);
  }
  return door.system.capabilities.net.fetch(`${origin}${url.pathname}${url.search}`, {
    method: request.method,
    headers,
    body,
    signal: request.signal,
    redirect: "manual",
    // It is our own port, by its address; its certificate has a name.
    ...(origin.startsWith("https:") ? { tls: { rejectUnauthorized: false } } : {}),
  });
}

/** Calls `ended` once, when it has ended either way. */
function through(body: ReadableStream<Uint8Array>, ended: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let isOver = false;
  // Who leaves in the middle of a read ends that read as well.
  const over = (): void => {
    if (!isOver) ended();
    isOver = true;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          controller.enqueue(value);
          return;
        }
        controller.close();
      } catch (error) {
        controller.error(error);
      }
      over();
    },
    async cancel(reason) {
      over();
      await reader.cancel(reason);
    },
  });
}

/** As the frontend writes it. */
function refused(message: string, status: number, code = "no_frontend"): Response {
  const type = status === 403 ? "permission_error" : "server_error";
  const error = { message, type, param: null, code };
  return Response.json({ error }, { status });
}

export const openaiRoute: Route = {
  path: "/v1/{rest...}",
  on: { GET: pass, POST: pass, DELETE: pass },
  changes_nothing: true,
};
