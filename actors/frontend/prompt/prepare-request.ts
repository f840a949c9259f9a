/** A body and its dialect → what to run. Everything that is wrong is an ApiError. */
import type { Clock, Random } from "../../../runtime/capabilities.ts";
import type { ServedModels } from "../access/allowed-models.ts";
import { ApiError, missingParameter, modelNotFound } from "../api/api-error.ts";
import { checkAllNames, checkShape } from "../api/check-body.ts";
import type {
  AnswerExtras,
  Dialect,
  EmbeddingDialect,
  EmbeddingWork,
  Generation,
  RequestScope,
} from "../api/dialect.ts";
import type { Nvext } from "../api/nvext-fields.ts";
import type { DoorSettings } from "../door-settings.ts";
import type { FrontendMetrics } from "../frontend-metrics.ts";
import type { RequestContext } from "../http/request-context.ts";
import type { Loaded } from "../kept/earlier.ts";
import { lacksHead } from "../models/heads.ts";
import type { ModelDirectory } from "../models/models.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { PrepareContext } from "./prepare-context.ts";
import { hintsOfKey, pinOf, routeHintsOf } from "./route-hints.ts";
import { TokensAhead } from "./tokens-ahead.ts";

export type PrepareParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly models: ModelDirectory;
  readonly metrics: FrontendMetrics;
  readonly settings: DoorSettings;
};

/** A prepared request, by what it asks for. */
export type Prepared =
  | { readonly makes: "generation"; readonly generation: Generation }
  | {
      readonly makes: "embedding";
      readonly embedding: EmbeddingWork;
      readonly dialect: EmbeddingDialect;
    };

/** Everything up to the tokens. Throws ApiError. */
export function prepareRequest(
  parts: PrepareParts,
  context: RequestContext,
  dialect: Dialect,
  body: object,
  ahead?: TokensAhead,
  earlier?: Loaded,
): Prepared {
  const checkNames = () => checkAllNames(body, dialect, parts.settings.unknown_fields);
  if (ahead === undefined) checkNames();
  else ahead.once(checkNames);
  let extras: AnswerExtras | undefined;
  const scope: RequestScope = {
    earlier,
    shaped: shapedBy(ahead),
    contextOf: (nvext) => {
      extras = extrasOf(nvext);
      return prepareContext(parts, context, nvext);
    },
    modelOf: (name) => {
      const model = modelNamed(context.models ?? parts.models, name);
      if (dialect.makes === "embedding" && model.adapter !== undefined) {
        throw lacksHead(model, "is a LoRA adapter, which answers chats and completions alone");
      }
      if (dialect.makes === "generation" && model.card.heads?.pools_only === true) {
        throw lacksHead(model, "generates no text");
      }
      return ahead === undefined ? model : withTurns(model, ahead);
    },
  };
  if (dialect.makes === "embedding") {
    return { makes: "embedding", embedding: dialect.prepare(body, scope), dialect };
  }
  const generation = dialect.prepare(body, scope);
  return {
    makes: "generation",
    generation: extras === undefined ? generation : { ...generation, extras },
  };
}

/** The model, which does what grows with a request with other requests in between. */
export const withTurns = (model: ServedModel, ahead: TokensAhead): ServedModel => ({
  ...model,
  tokenizer: ahead.of(model.tokenizer, model.card.context_length),
  renderChat: (messages, options) => ahead.once(() => model.renderChat(messages, options)),
});

export const shapedBy = (ahead: TokensAhead | undefined): RequestScope["shaped"] =>
  ahead === undefined ? checkShape : (body, shape) => ahead.once(() => checkShape(body, shape));

/** Undefined: nothing is asked for beside the answer. */
function extrasOf(nvext: Nvext | null | undefined): AnswerExtras | undefined {
  const annotations = nvext?.annotations ?? [];
  const extra_fields = nvext?.extra_fields ?? [];
  return annotations.length === 0 && extra_fields.length === 0
    ? undefined
    : { annotations, extra_fields };
}

/** The same for a long body, with other requests in between. Rejects with ApiError. */
export async function prepareLongRequest(
  parts: PrepareParts,
  context: RequestContext,
  dialect: Dialect,
  body: object,
  earlier?: Loaded,
): Promise<Prepared> {
  const ahead = new TokensAhead(parts.clock, context.entry ?? parts.metrics);
  return ahead.run(() => prepareRequest(parts, context, dialect, body, ahead, earlier));
}

/** What a request says beside its body. Throws ApiError for a header that is wrong. */
export function prepareContext(
  parts: PrepareParts,
  context: RequestContext,
  nvext: Nvext | null | undefined,
): PrepareContext {
  const { settings, random, clock } = parts;
  const { headers } = context.request;
  const spent_ms = clock.now_ms() - context.arrived_ms;
  return {
    random,
    request: context.id,
    deadline_ms: Math.max(1, Math.round(settings.deadline_ms - spent_ms)),
    pin: pinOf(headers, nvext),
    hints: hintsOfKey(routeHintsOf(headers, nvext), context.key),
    default_max_tokens: settings.default_max_tokens,
    timed: context.entry ?? parts.metrics,
    greedy: nvext?.greed_sampling === true,
    prompt_tokens: nvext?.token_data ?? undefined,
    salt: nvext?.cache_salt ?? undefined,
  };
}

/**
 * Undefined: the only model. Throws ApiError: 404 for a name that is not served, 503 for one that
 * is not served yet, 400 where there are several and none was named.
 */
export function modelNamed(models: ServedModels, name: string | undefined): ServedModel {
  if (name === undefined) return onlyModel(models);
  const model = models.get(name);
  if (model !== undefined) return model;
  throw notServed(models, name);
}

function onlyModel(models: ServedModels): ServedModel {
  const [first, second] = models.ready();
  if (first === undefined && models.restricted === true) throw noneAllowed();
  if (first === undefined) throw notServed(models, "");
  if (second !== undefined) throw missingParameter("model");
  return first;
}

const noneAllowed = () =>
  new ApiError(
    404,
    "model_not_found",
    "This key may use none of the models that are served now. /v1/models lists those it may use.",
    "model",
  );

function notServed(models: ServedModels, name: string): ApiError {
  const state = models.state(name);
  const served = [...models.ready(), ...models.adapters()].map((model) => model.name);
  if (state === "broken") {
    return new ApiError(
      503,
      "model_broken",
      `The model '${name}' cannot be served: ${models.whyBroken(name)}`,
      "model",
    );
  }
  const restricted = models.restricted === true;
  // While no model is served yet, this one may still come.
  if (state === "unknown" && (served.length > 0 || restricted)) {
    return modelNotFound(name, served, restricted);
  }
  return new ApiError(
    503,
    "model_not_ready",
    "The model is not ready yet. Retry in a moment; /health says when.",
    "model",
    { "Retry-After": "1" },
  );
}
