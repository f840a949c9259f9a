/**
 * A dialect is one value in the table: a made-up one, with a path, events, bodies and errors of its
 * own, is answered, streamed, resumed, counted and documented by the door as it is.
 */
import { expect, test } from "bun:test";
import { z } from "zod";
import { checkShape } from "../../../actors/frontend/api/check-body.ts";
import type {
  ChunkFormat,
  Dialect,
  Generation,
  GenerationDialect,
} from "../../../actors/frontend/api/dialect.ts";
import { dialects } from "../../../actors/frontend/api/dialects.ts";
import { jsonRoutes } from "../../../actors/frontend/api/json-routes.ts";
import { objectOf, refused, used } from "../../../actors/frontend/api/request-fields.ts";
import { doorDefaults } from "../../../actors/frontend/door-settings.ts";
import { FrontendMetrics } from "../../../actors/frontend/frontend-metrics.ts";
import { Door } from "../../../actors/frontend/http/door.ts";
import type { Holder } from "../../../actors/frontend/resume/find-held.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { countingIds, SeededRandom } from "../../../runtime/simulation/random.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import {
  emptyArchive,
  FakeAnswers,
  fakeEmbedding,
  fakeModels,
  noLora,
} from "../../support/worlds/frontend-fakes.ts";
import { parseEvents } from "../../support/worlds/frontend-server.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";
import { MemoryLog } from "../../support/worlds/test-system.ts";

const poemFields = {
  model: used(z.string(), "Name of the model."),
  words: used(z.int(), "How many."),
  stream: used(z.boolean().nullish(), "In pieces."),
  form: used(z.object({ rhyme: z.string() }).nullish(), "Which form."),
};
const formFields = { rhyme: used(z.string(), "Its name."), metre: refused("Verses are free.") };
const poemShape = objectOf(poemFields);

/** Events have names, and the last one tells how the poem ended. */
const poemChunks = (id: string): ChunkFormat => ({
  piece: (_, { text }, first) => `event: ${first ? "begin" : "word"}\ndata: ${text.trim()}`,
  skip: () => {},
  text: (_, text) => `event: word\ndata: ${text}`,
  end: (_, { reason }) => `event: rest\ndata: ${reason}`,
  usage: ({ completion_tokens }) => `event: size\ndata: ${completion_tokens}`,
  done: () => `event: fin\ndata: ${id}`,
  failed: ({ code }) => `event: oops\ndata: ${code}`,
});

const poems: GenerationDialect = {
  makes: "generation",
  name: "poems",
  path: "/v1/poems",
  page: { summary: "A poem", schema: "PoemRequest", streams: true },
  fields: poemFields,
  nested: [{ name: "form", fields: formFields, is_list: false, ignores_unknown: false }],
  id_prefix: "poem-",
  prepare: (body, scope): Generation => {
    const { model, words, stream } = checkShape(body, poemShape);
    const { request } = scope.contextOf(undefined);
    const answer = { model, choices: 1, max_tokens: words, prompt: Uint32Array.of(1) };
    return {
      dialect: poems,
      model: scope.modelOf(model),
      answers: [answerRequest(request, answer)],
      ...{ shown_each: 1, made_each: 1, counted_each: 1, echo: undefined, logprobs: false },
      ...{ stream: stream === true, include_usage: true },
    };
  },
  chunks: ({ id }) => poemChunks(id),
  body: ({ id }, choices) => ({ poem: choices.map(({ text }) => text), id }),
  errorBody: ({ code, param }) => ({ oops: code, ...(param == null ? {} : { where: param }) }),
};

/** Most of its calls give several events, some none; what ends it is told of the end before. */
function verseChunks(id: string): ChunkFormat {
  let reason = "";
  return {
    ...poemChunks(id),
    piece: (_, { text, delivered }, first) => {
      if (delivered === 2) return [];
      const word = `event: word\ndata: ${text.trim()}`;
      return [...(first ? ["event: begin\ndata: 0"] : []), word, `event: rest\ndata: ${delivered}`];
    },
    end: (_, end) => {
      reason = end.reason;
      return ["event: word\ndata: the", "event: word\ndata: end"];
    },
    usage: () => `event: size\ndata: ${reason}`,
  };
}
const verses: GenerationDialect = {
  ...poems,
  ...{ name: "verses", path: "/v1/verses", client_header: "x-verses", id_header: "verse-id" },
  prepare: (body, scope) => ({ ...poems.prepare(body, scope), dialect: verses }),
  chunks: ({ id }) => verseChunks(id),
};

function doorOf(table: readonly Dialect[]) {
  const clock = realClock();
  const metrics = new Metrics();
  const answers = new FakeAnswers();
  const held = (): readonly Holder[] =>
    answers.live.slice(0, 1).map(({ request }) => ({
      worker: "w0",
      ref: { node: "w0", path: "/worker", incarnation: new Uint8Array(8), address: "" },
      request: request.request,
      left_ms: 1_000,
      generate: {
        ...{ request: request.request, model: "toy", prompt: bytesOf(request.prompt) },
        ...{ sampling: request.sampling, choices: [], min_tokens: 0, stop_tokens: [] },
        ...{ ignore_eos: false, logprobs: -1, deadline_ms: 1, window_tokens: 1, alone: false },
        resumable: { ...request.resumable!, attempt: 1 },
      },
    }));
  const door = new Door({
    archive: emptyArchive(clock),
    lora: noLora,
    ...{ clock, answers, random: new SeededRandom(3), ids: countingIds("i"), log: new MemoryLog() },
    ...{ models: fakeModels(), dialects: table, jsonRoutes, settings: doorDefaults },
    ...{ startAnswer: answers.start, startEmbedding: fakeEmbedding },
    findAnswer: async () => held(),
    store: new MemoryStore(),
    clearCaches: async () => [],
    busy: async () => undefined,
    claims: { of: () => ({ isFirst: async () => true, release: () => {} }) },
    metrics: new FrontendMetrics(metrics, clock),
    renderMetrics: () => metrics.render(),
    ...{ planes: () => [], router: () => undefined, crashLoops: () => [], idle: () => {} },
  });
  const ask = (method: string, path: string, body?: object, headers: object = {}) =>
    door.handle(
      new Request(`http://door${path}`, {
        method,
        headers: { "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
  return { ask };
}

const poem = { model: "toy", words: 3 };

/** Name and data of each event, and the id of the last. */
function eventsIn(text: string) {
  const blocks = text.trimEnd().split("\n\n");
  const events = blocks.map((block) => /\nevent: (.*)\ndata: (.*)$/.exec(block)!.slice(1, 3));
  return { events, ids: blocks.map((block) => block.slice("id: ".length, block.indexOf("\n"))) };
}

test("a made-up dialect streams and is resumed in its own events", async () => {
  const { ask } = doorOf([...dialects, poems]);
  const response = await ask("POST", poems.path, { ...poem, stream: true });
  const { events, ids } = eventsIn(await response.text());
  const rest = [
    ["word", "w1"],
    ["word", "w2"],
    ["rest", "length"],
    ["size", "3"],
  ];
  const id = ids[0]!.slice(0, ids[0]!.indexOf(":"));
  const fin = ["fin", `poem-${id}`];
  expect(events).toEqual([["begin", "w0"], ...rest, fin]);
  const resumed = await ask("GET", `/v1/streams/${id}`, undefined, { "last-event-id": ids[0]! });
  expect(resumed.status).toBe(200);
  expect(eventsIn(await resumed.text()).events).toEqual([...rest, fin]);
  const metrics = await (await ask("GET", "/metrics")).text();
  expect(metrics).toContain('endpoint="poems"');
  expect(metrics).toContain('endpoint="streams"');
});

test("a stream of several events a piece is resumed behind each of them", async () => {
  const { ask } = doorOf([verses]);
  const response = await ask("POST", verses.path, { ...poem, stream: true });
  const blocks = (await response.text()).trimEnd().split("\n\n");
  expect(eventsIn(blocks.join("\n\n")).events).toEqual([
    ...[
      ["begin", "0"],
      ["word", "w0"],
      ["rest", "1"],
      ["word", "w2"],
      ["rest", "3"],
    ],
    ...[
      ["word", "the"],
      ["word", "end"],
      ["size", "length"],
    ],
    ["fin", expect.stringMatching(/^poem-/)],
  ]);
  for (let at = 0; at < blocks.length - 1; at += 1) {
    const [, id = ""] = /^id: (.*)$/m.exec(blocks[at]!) ?? [];
    const path = `/v1/streams/${id.slice(0, id.indexOf(":"))}`;
    const resumed = await ask("GET", path, undefined, { "last-event-id": id });
    expect((await resumed.text()).trimEnd().split("\n\n")).toEqual(blocks.slice(at + 1));
  }
  const [, first = ""] = /^id: (.*)$/m.exec(blocks[0]!) ?? [];
  const beyond = first.replace("p1", "p3");
  const path = `/v1/streams/${first.slice(0, first.indexOf(":"))}`;
  const refused = await ask("GET", path, undefined, { "last-event-id": beyond });
  // The head is out when the claim turns out to be wrong.
  expect(await refused.text()).toContain("event: oops\ndata: invalid_header");
});

test("errors have the form of the dialect, wherever it is known", async () => {
  const { ask } = doorOf([poems, verses]);
  const stream = await ask("POST", verses.path, { ...poem, stream: true });
  expect(stream.headers.get("verse-id")).toHaveLength(22);
  const id = stream.headers.get("verse-id")!;
  await stream.text();
  const oops = async (method: string, path: string, headers: object = {}) => {
    const response = await ask(method, path, undefined, headers);
    return [response.status, Object.keys((await response.json()) as object)];
  };
  const openAi = ["error"];
  expect(await oops("GET", "/v1/verses")).toEqual([405, ["oops"]]);
  expect(await oops("GET", "/v1/verses/more")).toEqual([404, ["oops"]]);
  expect(await oops("GET", "/v1/versesmore")).toEqual([404, openAi]);
  expect(await oops("GET", "/v1/versesmore", { "x-verses": "1" })).toEqual([404, ["oops"]]);
  expect(await oops("GET", "/v1/streams/none")).toEqual([404, openAi]);
  const odd = { "last-event-id": `${id}:1.1` };
  expect(await oops("GET", `/v1/streams/${id}`, odd)).toEqual([400, ["oops", "where"]]);
});

test("it answers in one piece, names its errors and stands in openapi.json", async () => {
  const { ask } = doorOf([...dialects, poems]);
  const whole = await (await ask("POST", poems.path, poem)).json();
  expect(whole).toEqual({ poem: ["w0 w1 w2 "], id: expect.stringMatching(/^poem-/) });
  const wrong = async (body: object) => (await ask("POST", poems.path, body)).json();
  expect(await wrong({ ...poem, words: "many" })).toEqual({ oops: "invalid_type", where: "words" });
  expect(await wrong({ ...poem, form: { rhyme: "aabb", metre: 5 } })).toEqual({
    ...{ oops: "unsupported_parameter", where: "form.metre" },
  });
  expect((await ask("GET", poems.path)).status).toBe(405);
  const { paths } = (await (await ask("GET", "/openapi.json")).json()) as { paths: object };
  expect(paths).toHaveProperty([poems.path, "post", "summary"], "A poem");
});

test("without its line in the table there is no such route", async () => {
  const { ask } = doorOf(dialects);
  expect((await ask("POST", poems.path, poem)).status).toBe(404);
  // What stands in the table is not disturbed by what stands beside it.
  const completion = { model: "toy", prompt: "hi", max_tokens: 2, stream: true };
  const text = await (
    await doorOf([poems, ...dialects]).ask("POST", "/v1/completions", completion)
  ).text();
  expect(parseEvents(text).at(-1)?.data).toBe("[DONE]");
});

test("names and paths of dialects are theirs alone", () => {
  expect(new Set(dialects.map(({ name }) => name)).size).toBe(dialects.length);
  expect(new Set(dialects.map(({ path }) => path)).size).toBe(dialects.length);
  expect(new Set(dialects.map(({ page }) => page.schema)).size).toBe(dialects.length);
  for (const { path } of dialects) expect(path).toStartWith("/");
});
