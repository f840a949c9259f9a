/** A door whose model writes what a script says, cut at will; its answers can be resumed. */
import { dialects } from "../../../actors/frontend/api/dialects.ts";
import { jsonRoutes } from "../../../actors/frontend/api/json-routes.ts";
import { doorDefaults } from "../../../actors/frontend/door-settings.ts";
import { ModelDirectory, type ServedModel } from "../../../actors/frontend/frontend.ts";
import { FrontendMetrics } from "../../../actors/frontend/frontend-metrics.ts";
import { Door } from "../../../actors/frontend/http/door.ts";
import type { Holder } from "../../../actors/frontend/resume/find-held.ts";
import type { AnswerEnd } from "../../../actors/stream/stream.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { countingIds, SeededRandom } from "../../../runtime/simulation/random.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import {
  emptyArchive,
  FakeAnswers,
  fakeEmbedding,
  fakeModel,
  fakeRecord,
  type Live,
  noLora,
  noParsers,
} from "./frontend-fakes.ts";
import { MemoryLog } from "./test-system.ts";

export type Script = {
  /** The model's text by choice, a token an item. */
  readonly choices: readonly (readonly string[])[];
  readonly reason?: AnswerEnd["reason"];
  /** How it fails behind the tokens. */
  readonly fails?: "engine_error" | "overloaded";
  /** The stop string that ended each choice. */
  readonly stop_reason?: string;
};

export type ParsedDoor = {
  readonly answers: FakeAnswers;
  readonly store: MemoryStore;
  /** What the next answers are. */
  script: Script;
  ask(method: string, path: string, body?: object, headers?: object): Promise<Response>;
};

/** @param parsers names; the model has them, and so a parser reads every answer */
export function parsedDoor(
  parsers: { readonly tool: string; readonly reasoning: string },
  more: Partial<ServedModel> = {},
): ParsedDoor {
  const clock = realClock();
  const metrics = new Metrics();
  const answers = new FakeAnswers((live) => play(live, world.script));
  const models = new ModelDirectory((card) =>
    fakeModel(card, { parsers: { ...noParsers, ...parsers }, ...more }),
  );
  models.workerJoined(fakeRecord({ context_length: 100_000 }));
  const store = new MemoryStore();
  const door = new Door({
    archive: emptyArchive(clock),
    ...{ clock, answers, random: new SeededRandom(3), ids: countingIds("i"), log: new MemoryLog() },
    ...{ models, dialects, jsonRoutes, settings: doorDefaults },
    store,
    clearCaches: async () => [],
    busy: async () => undefined,
    lora: noLora,
    ...{ startAnswer: answers.start, startEmbedding: fakeEmbedding },
    findAnswer: async () => answers.live.slice(0, 1).map(holderOf),
    claims: { of: () => ({ isFirst: async () => true, release: () => {} }) },
    metrics: new FrontendMetrics(metrics, clock),
    renderMetrics: () => metrics.render(),
    ...{ planes: () => [], router: () => undefined, crashLoops: () => [], idle: () => {} },
  });
  const world: ParsedDoor = {
    ...{ answers, store },
    script: { choices: [[]] },
    ask: async (method, path, body, headers = {}) =>
      door.handle(
        new Request(`http://door${path}`, {
          method,
          headers: { "content-type": "application/json", ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      ),
  };
  return world;
}

/** As a worker has it of which nothing but the request is looked at. */
const holderOf = ({ request }: Live): Holder => ({
  worker: "w1",
  ref: { node: "w1", path: "/worker", incarnation: new Uint8Array(8), address: "" },
  request: request.request,
  left_ms: 1_000,
  generate: {
    ...{ request: request.request, model: "toy", prompt: bytesOf(request.prompt) },
    ...{ sampling: request.sampling, choices: [], min_tokens: 0, stop_tokens: [] },
    ...{ ignore_eos: false, logprobs: request.logprobs, deadline_ms: 1, window_tokens: 1 },
    alone: false,
    resumable: { ...request.resumable!, attempt: 1 },
  },
});

function play(
  { request, sink }: Live,
  { choices, reason = "stop", stop_reason, fails }: Script,
): void {
  sink.placed?.("w1", 1, "w1");
  let completion_tokens = 0;
  for (let choice = 0; choice < request.choices; choice += 1) {
    const texts = choices[choice] ?? [];
    texts.forEach((text, i) => {
      const piece = { kind: "content" as const, choice, text, tokens: [i], delivered: i + 1 };
      const logprobs = [{ token: text, bytes: [...Buffer.from(text)], logprob: -1, top: [] }];
      sink.piece(request.logprobs < 0 ? piece : { ...piece, logprobs });
    });
    completion_tokens += texts.length;
    if (fails !== undefined) {
      const status = fails === "overloaded" ? 529 : 500;
      sink.failed({ code: fails, status, message: "It fails, as the test asked." });
      return;
    }
    sink.end({ choice, reason, ...(stop_reason === undefined ? {} : { stop_reason }) });
  }
  sink.done({ prompt_tokens: request.prompt.length, completion_tokens, cached_tokens: 0 });
}
