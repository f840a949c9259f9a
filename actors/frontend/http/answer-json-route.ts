/** One request of a route that generates nothing, from its checked names to its response. */
import { checkAllNames } from "../api/check-body.ts";
import type { JsonRoute, RouteScope, ServerFacts } from "../api/json-route.ts";
import {
  modelNamed,
  type PrepareParts,
  prepareContext,
  shapedBy,
  withTurns,
} from "../prompt/prepare-request.ts";
import { LONG_TEXT, TokensAhead } from "../prompt/tokens-ahead.ts";
import { newRequestId } from "../resume/stream-id.ts";
import type { RequestContext } from "./request-context.ts";
import { uploadOf } from "./upload.ts";

/** A body that came, and how long it was. */
export type SentBody = { readonly value: object; readonly bytes: number };

/** Who asks, for which `{name}`, and what is stored for them. */
export type RouteCaller = Pick<RouteScope, "param" | "second" | "owner" | "kept">;

type RouteParts = PrepareParts & Pick<RouteScope, "archive">;

const NO_BODY: SentBody = { value: {}, bytes: 0 };

/** Other requests have their turns while long texts are tokenized. Rejects with ApiError. */
export async function answerJsonRoute(
  parts: RouteParts,
  server: ServerFacts,
  context: RequestContext,
  route: JsonRoute,
  who: RouteCaller,
  sent: SentBody = NO_BODY,
): Promise<Response> {
  const { clock, settings, metrics, archive } = parts;
  const models = context.models ?? parts.models;
  if (route.body !== undefined) checkAllNames(sent.value, route.body, settings.unknown_fields);
  const ahead = sent.bytes < LONG_TEXT ? undefined : new TokensAhead(clock, metrics);
  const scope: RouteScope = {
    ...{ ...who, models, server, archive, body: sent.value },
    headers: context.request.headers,
    newId: () => newRequestId(parts.random),
    query: queryOf(context.request.url),
    upload: () => uploadOf(context.request, clock, settings.body_ms),
    shaped: shapedBy(ahead),
    contextOf: (nvext) => prepareContext(parts, context, nvext),
    modelWith: (name, context_length) => {
      const model = modelNamed(models, name ?? undefined);
      const longer = { ...model, card: { ...model.card, context_length } };
      return ahead === undefined ? longer : withTurns(longer, ahead);
    },
    pause: () => new Promise((resolve) => clock.defer(resolve)),
  };
  const handle = () => route.handle(scope);
  const answer = await (ahead === undefined ? handle() : ahead.run(handle));
  if (answer instanceof Response) return answer;
  const { status, body, headers } = answer;
  return new Response(body, { status, headers: { ...context.headers, ...headers } });
}

/** The server gives a request without a Host header as a path alone. */
function queryOf(url: string): URLSearchParams {
  const at = url.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
}
