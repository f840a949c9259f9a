/** Taking an answer up again, as far as the door does it: who is asked, what fits, what is told. */
import { expect, test } from "bun:test";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { completions } from "../../../actors/frontend/api/completions/completions.ts";
import type { Generation } from "../../../actors/frontend/api/dialect.ts";
import { findHeld, type Holder } from "../../../actors/frontend/resume/find-held.ts";
import {
  bodyHash,
  heldOrFirst,
  idempotencyKeyOf,
  keyedId,
} from "../../../actors/frontend/resume/idempotency.ts";
import type { AnswerClaim } from "../../../actors/frontend/resume/idempotency-claim.ts";
import { partOf, resumable, resumedFrom } from "../../../actors/frontend/resume/resume-context.ts";
import {
  type FindAnswer,
  findParts,
  resumeStream,
} from "../../../actors/frontend/resume/resume-stream.ts";
import { newRequestId } from "../../../actors/frontend/resume/stream-id.ts";
import { workerHint } from "../../../actors/names/names.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import type { ActorRef, HeldAnswer, WorkerMessage } from "../../../proto/index.ts";
import { Allowance } from "../../../runtime/allowance.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { countingIds, SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { fakeModel, noParsers } from "../../support/worlds/frontend-fakes.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

const model = fakeModel();
const facts = { request: "R", owner: "anna", created_s: 7, body_hash: "h", returns: true };

const generation = (prompts: number, more: Partial<Generation> = {}): Generation => ({
  dialect: completions,
  model,
  answers: Array.from({ length: prompts }, (_, i) =>
    answerRequest(`R-${i}`, {
      ...{ model: "toy", choices: 2, max_tokens: 9, stop_strings: ["\n", "é"], include_stop: true },
      ...{ prompt: Uint32Array.of(i, 5), logprobs: 1, min_tokens: 2, stop_tokens: [3] },
      ...{ salt: "s", owner: "anna" },
    }),
  ),
  shown_each: 2,
  made_each: 2,
  counted_each: 2,
  echo: Array.from({ length: prompts }, (_, prompt) => `echo ${prompt}`),
  stream: true,
  include_usage: true,
  logprobs: true,
  ...more,
});

/** Where the answers of a request are, as workers say it. */
function holdersOf(of: Generation, worker: string, attempt = 1): Holder[] {
  return resumable(of, facts).answers.map((answer) => ({
    worker,
    ref: refOf(worker),
    request: `${answer.request}~${attempt}`,
    left_ms: 1_000,
    generate: heldGenerate(answer, attempt),
  }));
}

function heldGenerate(
  answer: Generation["answers"][number],
  attempt: number,
): NonNullable<HeldAnswer["generate"]> {
  return {
    ...{ request: answer.request, model: answer.model, prompt: bytesOf(answer.prompt) },
    ...{ sampling: answer.sampling, choices: [], min_tokens: answer.min_tokens },
    ...{ stop_tokens: answer.stop_tokens, ignore_eos: answer.ignore_eos, salt: answer.salt },
    ...{ logprobs: answer.logprobs, deadline_ms: 1, window_tokens: 1, alone: false },
    owner: answer.owner,
    resumable: { ...answer.resumable!, attempt },
  };
}

const refOf = (worker: string): ActorRef => ({
  ...{ node: worker, path: "/worker", incarnation: new Uint8Array(8), address: "" },
});

test("what a door wrote, another reads: the request is what it was", () => {
  const made = generation(2);
  const parts = holdersOf(made, "w").map((holder) => partOf(holder)!);
  const resumed = resumedFrom(parts, completions, model, () => "name", [1, 2, 3, 4]);
  expect(resumed.facts).toEqual(facts);
  const { answers, ...rest } = resumed.generation;
  const { answers: before, ...rest_before } = made;
  expect(rest).toEqual(rest_before);
  for (const [i, answer] of answers.entries()) {
    const { held, resumable: _, ...plain } = answer;
    expect(plain).toEqual({ ...before[i]!, request: "name", deadline_ms: 1_000 });
    expect(held).toMatchObject({ worker: "w", request: `R-${i}~1`, attempt: 1 });
    expect(held?.have).toEqual(i === 0 ? [1, 2] : [3, 4]);
  }
});

test("how an answer is parsed travels too, without what no parser reads", () => {
  const shown = new Set([7]);
  const parsers = { ...noParsers, shownTokens: () => shown };
  const schema = { type: "object", properties: { description: { type: "string" } } };
  const parsing = {
    ...{ tool: "hermes", reasoning: "qwen3", opened: true, one_call: true, named: true },
    ...{ thinking: undefined, reasoning_field: "reasoning" },
    tools: [{ name: "f", parameters: { ...schema, description: "long" } }],
  };
  for (const more of [{}, { thinking: false, tools: [] }, { thinking: true }]) {
    const made = generation(1, { parsing: { ...parsing, ...more } });
    const parts = holdersOf(made, "w").map((holder) => partOf(holder)!);
    const served = fakeModel({}, { parsers });
    const { generation: resumed } = resumedFrom(parts, completions, served, () => "name", []);
    const tools = "tools" in more ? [] : [{ name: "f", parameters: schema }];
    expect(resumed.parsing).toEqual({ ...parsing, ...more, tools });
    expect(resumed.answers[0]?.shown_tokens).toBe(shown);
  }
});

test("of several attempts the latest counts; an earlier one than the client has does not", async () => {
  const found = [...holdersOf(generation(1), "old", 1), ...holdersOf(generation(1), "new", 3)];
  const place = (attempt: number) => [{ attempt, worker_hint: "AA" }];
  const find = async () => found;
  for (const attempt of [1, 2, 3]) {
    expect((await findParts(find, "R", place(attempt)))?.[0]?.holder.worker).toBe("new");
  }
  expect(await findParts(find, "R", place(4))).toBeUndefined();
  expect(await findParts(async () => found.slice(0, 1), "R", place(2))).toBeUndefined();
  const half = holdersOf(generation(2), "w").slice(0, 1);
  expect(await findParts(async () => half, "R", [])).toBeUndefined();
});

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "fine";
  } catch (error) {
    if (error instanceof ApiError) return `${error.status} ${error.code}`;
    throw error;
  }
}

/** An id that a door made. */
const R = newRequestId(new SeededRandom(7));

function lookups(at_once = 8): Allowance {
  return new Allowance(new VirtualClock(), { at_once, each_ms: 1_000 });
}

test("what is no id of ours is asked of nobody, and what nobody has of all only so often", async () => {
  let [asked, all] = [0, 0];
  const find: FindAnswer = async (_answer, _hints, _isEnough, mayAskAll) => {
    asked += 1;
    mayAskAll?.();
    all += 1;
    return [];
  };
  const peers = {
    find,
    lookups: lookups(3),
    ids: countingIds("i"),
    ...{ model: () => model, dialect: () => completions },
  };
  const resume = (id: string) => codeOf(resumeStream(peers, "", id, null));
  const random = new SeededRandom(3);
  const other = (id: string) => (id.startsWith("A") ? "B" : "A") + id.slice(1);
  for (let i = 0; i < 50; i += 1) {
    const id = other(newRequestId(random));
    expect(await resume(id)).toBe("404 stream_not_found");
  }
  for (const id of ["R", "nosuchrequest", "A".repeat(22), "no/such"]) {
    expect(await resume(id)).toBe("404 stream_not_found");
  }
  expect(asked).toBe(0);
  const told = [];
  for (let i = 0; i < 5; i += 1) told.push(await resume(newRequestId(random)));
  expect(told).toEqual([
    ...new Array(3).fill("404 stream_not_found"),
    ...new Array(2).fill("429 rate_limited"),
  ]);
  expect([asked, all]).toEqual([5, 3]);
});

test("who has an event of a lost stream hears so, and keeps nobody else from theirs", async () => {
  const find: FindAnswer = async (_answer, _hints, _isEnough, mayAskAll) => {
    mayAskAll?.();
    return [];
  };
  const peers = {
    find,
    lookups: lookups(1),
    ids: countingIds("i"),
    model: () => model,
    dialect: () => completions,
  };
  for (let i = 0; i < 5; i += 1) {
    expect(await codeOf(resumeStream(peers, "", R, `${R}:3`))).toBe("404 stream_not_found");
  }
  expect(peers.lookups.take()).toBe(true);
});

test("streams that are there may be asked for as often as they break", async () => {
  const find: FindAnswer = async (_answer, _hints, _isEnough, mayAskAll) => {
    mayAskAll?.();
    return holdersOf(generation(1), "w");
  };
  const peers = {
    find,
    lookups: lookups(1),
    ids: countingIds("i"),
    model: () => model,
    dialect: () => completions,
  };
  for (let i = 0; i < 5; i += 1) {
    expect(await codeOf(resumeStream(peers, "anna", R, null))).toBe("fine");
  }
});

test("a stream is its owner's, is a stream, and its place fits it", async () => {
  const find = (of: Generation) => async () => holdersOf(of, "w");
  const resume = (owner: string, last: string | null, of = generation(1)) =>
    codeOf(
      resumeStream(
        {
          find: find(of),
          lookups: lookups(),
          ids: countingIds("i"),
          model: () => model,
          dialect: () => completions,
        },
        ...([owner, R, last] as const),
      ),
    );
  expect(await resume("anna", null)).toBe("fine");
  expect(await resume("anna", `${R}:1.0b`)).toBe("fine");
  expect(await resume("berta", null)).toBe("404 stream_not_found");
  expect(await resume("anna", "S:1.0")).toBe("400 invalid_header");
  expect(await resume("anna", `${R}:1`)).toBe("400 invalid_header");
  expect(await resume("anna", `${R}:9.9f`)).toBe("fine");
  expect(await resume("anna", `${R}:0.99999999f`)).toBe("400 invalid_header");
  expect(await resume("anna", `${R}:10.0`)).toBe("400 invalid_header");
  expect(await resume("anna", `${R}:0.0.0.10`, generation(2))).toBe("400 invalid_header");
  expect(await resume("anna", null, generation(1, { stream: false }))).toBe("400 not_a_stream");
});

function workersWith(holds: Readonly<Record<string, "yes" | "no" | "frozen">>) {
  const { system, clock } = testSystem(1);
  const asked: string[] = [];
  const refs = new Map<string, Ref<WorkerMessage>>();
  const [holder] = holdersOf(generation(1), "w");
  for (const [worker, how] of Object.entries(holds)) {
    const make = actorOf<WorkerMessage>({
      receive: (message, ctx) => {
        asked.push(worker);
        if (how === "frozen" || message.kind !== "find_answer") return;
        const items = how === "yes" ? [{ ...holder!, request: worker }] : [];
        ctx.reply({ kind: "held_answers", answer: message.answer, items });
      },
    });
    refs.set(worker, system.spawn(make, { name: worker }));
  }
  const peers = {
    system,
    workers: () => Object.keys(holds).map((worker) => ({ worker, ref: refOf(worker) })),
    resolve: (wire: ActorRef) => refs.get(wire.node)!,
  };
  const find = (hints: string[]) => findHeld(peers, "R", hints, ({ length }) => length > 0);
  return { clock, asked, find };
}

test("the hinted worker is asked alone; without a hint, or in vain, all are", async () => {
  const { clock, asked, find } = workersWith({ a: "yes", b: "no", c: "no" });
  const hinted = find([workerHint("a")]);
  await clock.advance(1);
  expect((await hinted).map(({ worker }) => worker)).toEqual(["a"]);
  expect(asked).toEqual(["a"]);
  for (const hints of [[], [workerHint("b")]]) {
    asked.length = 0;
    const all = find(hints);
    await clock.advance(1);
    expect((await all).map(({ worker }) => worker)).toEqual(["a"]);
    expect(asked.sort()).toEqual(["a", "b", "c"]);
  }
});

test("a frozen worker holds up nobody for long", async () => {
  const one = workersWith({ a: "yes", b: "frozen" });
  let found: readonly Holder[] | undefined;
  void one.find([]).then((holders) => {
    found = holders;
  });
  await one.clock.advance(60);
  expect(found).toHaveLength(1);
  const none = workersWith({ a: "no", b: "frozen" });
  let over = false;
  void none.find([]).then(() => {
    over = true;
  });
  await none.clock.advance(990);
  expect(over).toBe(false);
  await none.clock.advance(20);
  expect(over).toBe(true);
});

test("prompts of one request that are at several workers are waited for", async () => {
  const { system, clock } = testSystem(1);
  const made = generation(2);
  const [first, second] = holdersOf(made, "w");
  const worker = (name: string, holder: Holder, after_ms: number) =>
    system.spawn(
      actorOf<WorkerMessage>({
        receive: (message, ctx) => {
          if (message.kind !== "find_answer") return;
          const port = ctx.replyLater();
          const reply = { kind: "held_answers", answer: message.answer, items: [holder] } as const;
          ctx.clock.after(after_ms, () => void port.reply(reply));
        },
      }),
      { name },
    );
  const refs = { a: worker("a", first!, 1), b: worker("b", second!, 300) };
  const peers = {
    system,
    workers: () => ["a", "b"].map((name) => ({ worker: name, ref: refOf(name) })),
    resolve: ({ node }: ActorRef) => refs[node as "a" | "b"],
  };
  const found = findParts((...args) => findHeld(peers, ...args), "R", []);
  await clock.advance(400);
  expect(await found).toHaveLength(2);
});

function keyedWorld(found: () => readonly Holder[], first: () => boolean) {
  const { clock } = testSystem(1);
  let released = 0;
  const claim: AnswerClaim = {
    isFirst: async () => first(),
    release: () => {
      released += 1;
    },
  };
  const run = (changes: Partial<Parameters<typeof heldOrFirst>[1]> = {}) =>
    heldOrFirst(
      { find: async () => found(), claim, clock },
      { id: "R", owner: "anna", body_hash: "h", gone: () => false, ...changes },
    );
  return { clock, released: () => released, run };
}

test("keyed: the first begins, the others get what it made, and only for the same request", async () => {
  const nothing = keyedWorld(
    () => [],
    () => true,
  );
  expect(await nothing.run()).toBeUndefined();
  expect(nothing.released()).toBe(0);
  const held = keyedWorld(
    () => holdersOf(generation(1), "w"),
    () => true,
  );
  expect(await held.run()).toHaveLength(1);
  expect(held.released()).toBe(1);
  expect(await codeOf(held.run({ body_hash: "other" }))).toBe("422 idempotency_key_reused");
  expect(await codeOf(held.run({ owner: "berta" }))).toBe("422 idempotency_key_reused");
});

test("keyed: who is not the first waits for it, not for ever, and not for nobody", async () => {
  let made: readonly Holder[] = [];
  const { clock, run } = keyedWorld(
    () => made,
    () => false,
  );
  let parts: unknown;
  void run().then((found) => {
    parts = found;
  });
  await clock.advance(500);
  expect(parts).toBeUndefined();
  made = holdersOf(generation(1), "w");
  await clock.advance(100);
  expect(parts).toHaveLength(1);
  made = [];
  const late = codeOf(run());
  const left = codeOf(run({ gone: () => true }));
  await clock.advance(11_000);
  expect(await late).toBe("409 idempotency_in_progress");
  expect(await left).toBe("499 client_closed_request");
});

test("ids of keyed requests depend on owner and key, hashes on what is asked for", () => {
  const ids = [keyedId("", "k"), keyedId("anna", "k"), keyedId("anna", "l"), keyedId("annak", "")];
  expect(new Set(ids).size).toBe(ids.length);
  expect(keyedId("anna", "k")).toBe(ids[1]!);
  expect(bodyHash("completions", { a: 1 })).not.toBe(bodyHash("chat_completions", { a: 1 }));
  expect(idempotencyKeyOf(new Headers())).toBeUndefined();
  expect(idempotencyKeyOf(new Headers({ "Idempotency-Key": "a-b_1" }))).toBe("a-b_1");
  for (const odd of ["", "a b", "x".repeat(256)]) {
    expect(() => idempotencyKeyOf(new Headers({ "Idempotency-Key": odd }))).toThrow(ApiError);
  }
});
