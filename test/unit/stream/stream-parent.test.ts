import { expect, test } from "bun:test";
import {
  StreamParent,
  type StreamsOptions,
  startAnswerWith,
} from "../../../actors/stream/stream.ts";
import type {
  Accepted,
  Generate,
  Plan,
  RouterMessage,
  WorkerMessage,
} from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { answerRequest, RecordingSink } from "../../support/worlds/recorded-answer.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

/** Sends everybody to one worker; remembers what it heard. */
class OneWorkerRouter extends Actor<RouterMessage> {
  readonly ended: string[] = [];
  asked = 0;
  silent = false;
  readonly #plan: Omit<Plan, "request">;

  constructor(plan: Omit<Plan, "request">) {
    super();
    this.#plan = plan;
  }

  override receive(message: RouterMessage): void {
    if (message.kind === "route_ended") this.ended.push(`${message.request} ${message.outcome}`);
    if (message.kind === "route") this.asked++;
    if (message.kind !== "route" || this.silent) return;
    this.ctx.reply({ ...this.#plan, request: message.request });
  }
}

/** Takes every request and says one token; the rest is up to the test. */
class QuietWorker extends Actor<WorkerMessage> {
  readonly heard: WorkerMessage[] = [];
  silent = false;
  /** Probes that it refuses; it is silent about later ones. */
  refusals = 0;

  override receive(message: WorkerMessage): void {
    this.heard.push(message);
    if (message.kind === "probe" && this.refusals-- > 0) this.ctx.refuse("not now");
    if (message.kind !== "generate" || this.silent) return;
    const accepted: Accepted = { kind: "accepted", request: message.request };
    this.ctx.reply(accepted);
    this.say(message, "a");
  }

  say({ request, consumer }: Generate, text: string): void {
    const tokens = [...new TextEncoder().encode(text)];
    const choices = [{ choice: 0, first_index: 0, tokens, logprobs: [] }];
    refOf(this.ctx.system, consumer!).tell({
      kind: "token_batch",
      request,
      choices,
      finished: [],
    } as never);
  }

  /** The rest of the first answer that it was asked for. */
  finish(): void {
    const generate = this.heard.find((each) => each.kind === "generate") as Generate;
    const { request, consumer } = generate;
    const tokens = [...new TextEncoder().encode("bc")];
    const ref = refOf(this.ctx.system, consumer!);
    const end = { choice: 0, reason: "length", stop_token: -1, prompt_tokens: 1, cached_tokens: 0 };
    ref.tell({
      kind: "token_batch",
      request,
      choices: [{ choice: 0, first_index: 1, tokens, logprobs: [] }],
      finished: [{ ...end, total_tokens: 3, error: "" }],
    } as never);
  }

  get cancelled(): string[] {
    return this.heard.flatMap((each) => (each.kind === "cancel" ? [each.request] : []));
  }
}

async function setUp(options: Partial<StreamsOptions> = {}) {
  const { system, clock, log } = testSystem(1);
  const node = await joinAlone(system);
  const worker = new QuietWorker();
  const worker_ref = system.spawn(() => worker, { name: "worker" });
  const router = new OneWorkerRouter({
    kind: "plan",
    legs: [{ role: "aggregated", worker: "w0", ref: wireOf(system, worker_ref) }],
  });
  const spawnRouter = (): Ref<RouterMessage> => system.spawn(() => router, { name: "router" });
  let router_ref: Ref<RouterMessage> | undefined = spawnRouter();
  const answers = system.spawn(
    () =>
      new StreamParent({ router: () => router_ref, tokenizerOf: () => byteTokenizer, ...options }),
    { name: "answers" },
  );
  return {
    ...{ system, clock, log, worker, router, answers },
    start: startAnswerWith(answers),
    killRouter: () => system.control("/router", "kill"),
    forgetRouter: () => {
      router_ref = undefined;
    },
    restartRouter: () => {
      router_ref = spawnRouter();
    },
    close: async () => {
      await system.shutdown();
      node.close();
    },
  };
}

test("a killed stream's client is told, its router and its worker too", async () => {
  const { system, clock, start, router, worker, close } = await setUp();
  const sink = new RecordingSink();
  start(answerRequest("a/1"), sink);
  await clock.advance(1);
  expect(sink.text()).toBe("a");
  expect(system.control("/answers/a_1", "kill")).toBe(true);
  await clock.advance(1);
  expect(sink.failures).toMatchObject([{ code: "interrupted", status: 503 }]);
  expect(router.ended).toEqual(["a/1 cancelled"]);
  expect(worker.cancelled).toEqual(["a/1"]);
  expect(system.snapshot("/answers")).toMatchObject({ answers: 0 });
  await close();
});

test("tokens that came before their worker's end are delivered before the end is heard", async () => {
  const { system, clock, start, router, worker, close } = await setUp();
  const sink = new RecordingSink();
  start(answerRequest("r1"), sink);
  await clock.advance(1);
  expect(sink.text()).toBe("a");
  worker.finish();
  system.control("/worker", "kill");
  await clock.advance(1);
  expect(sink.text()).toBe("abc");
  expect(sink.failures).toEqual([]);
  expect(sink.outcomes).toBe(1);
  expect(router.asked).toBe(1);
  expect(router.ended).toEqual(["r1 finished"]);
  await close();
});

test("a worker that refused a probe and then falls silent is given up all the same", async () => {
  const { clock, start, router, worker, close } = await setUp();
  worker.refusals = 2;
  const sink = new RecordingSink();
  start(answerRequest("r1"), sink);
  await clock.advance(1);
  expect(sink.text()).toBe("a");
  await clock.advance(25_000);
  expect(worker.refusals).toBeLessThan(0);
  expect(router.asked).toBeGreaterThan(1);
  await close();
});

test("a sink that throws ends its own answer and nobody else's", async () => {
  const { clock, start, worker, close } = await setUp();
  class ThrowingSink extends RecordingSink {
    override piece(): boolean {
      throw new Error("broken door");
    }
  }
  const broken = new ThrowingSink();
  const whole = new RecordingSink();
  start(answerRequest("r1"), broken);
  start(answerRequest("r2"), whole);
  await clock.advance(1);
  expect(broken.outcomes).toBe(1);
  expect(worker.cancelled).toEqual(["r1"]);
  expect(whole.text()).toBe("a");
  expect(whole.outcomes).toBe(0);
  await close();
});

test("when the parent stops, every client hears an end and every worker a cancel", async () => {
  const { system, clock, start, answers, worker, close } = await setUp();
  const sinks = [1, 2, 3].map(() => new RecordingSink());
  for (const [i, sink] of sinks.entries()) start(answerRequest(`r${i}`), sink);
  await clock.advance(1);
  system.stop(answers);
  await clock.advance(1);
  for (const sink of sinks) expect(sink.failures).toMatchObject([{ code: "interrupted" }]);
  expect(worker.cancelled.sort()).toEqual(["r0", "r1", "r2"]);
  await close();
});

test("when the parent is killed, also what waited in its mailbox hears an end", async () => {
  const { system, clock, start, answers, close } = await setUp();
  const [live, waiting] = [new RecordingSink(), new RecordingSink()];
  start(answerRequest("r0"), live);
  await clock.advance(1);
  start(answerRequest("r1"), waiting);
  system.control(answers.address.path, "kill");
  await clock.advance(1);
  for (const sink of [live, waiting])
    expect(sink.failures).toMatchObject([{ code: "interrupted" }]);
  await close();
});

test("a hang-up before the plan, before the answer or in the middle ends it at once", async () => {
  const { clock, start, router, worker, close } = await setUp();
  router.silent = true;
  const before = new RecordingSink();
  start(answerRequest("r1"), before).tell({ kind: "abandon", reason: "gone" });
  await clock.advance(1);
  router.silent = false;
  worker.silent = true;
  const starting = new RecordingSink();
  const handle = start(answerRequest("r2"), starting);
  await clock.advance(1);
  handle.tell({ kind: "abandon", reason: "gone" });
  await clock.advance(1);
  worker.silent = false;
  const middle = new RecordingSink();
  const other = start(answerRequest("r3"), middle);
  await clock.advance(1);
  other.tell({ kind: "abandon", reason: "gone" });
  other.tell({ kind: "drained" });
  await clock.advance(1);
  for (const sink of [before, starting, middle]) {
    expect(sink.failures).toEqual([{ code: "cancelled", status: 499, message: "gone" }]);
  }
  expect(router.ended).toEqual(["r1 cancelled", "r2 cancelled", "r3 cancelled"]);
  expect(worker.cancelled).toEqual(["r2", "r3"]);
  await close();
});

test("a router that crashes is asked again when it is back", async () => {
  const { clock, start, router, killRouter, forgetRouter, restartRouter, close } = await setUp();
  router.silent = true;
  const sink = new RecordingSink();
  start(answerRequest("r1"), sink);
  await clock.advance(1);
  killRouter();
  await clock.advance(150);
  forgetRouter();
  await clock.advance(150);
  expect(sink.outcomes).toBe(0);
  router.silent = false;
  restartRouter();
  await clock.advance(150);
  expect(sink.text()).toBe("a");
  await close();
});

test("a worker that does not say that it takes a request is given up", async () => {
  const { clock, start, worker, close } = await setUp({ attempts: 2 });
  worker.silent = true;
  const sink = new RecordingSink();
  start(answerRequest("r1"), sink);
  await clock.advance(5_002);
  expect(worker.cancelled).toEqual(["r1"]);
  await clock.advance(5_002);
  expect(sink.failures).toMatchObject([{ code: "worker_lost", status: 503, retry_after_s: 1 }]);
  await close();
});

test("a deadline ends an answer wherever it is", async () => {
  const { clock, start, router, worker, close } = await setUp();
  const middle = new RecordingSink();
  start(answerRequest("r1", { deadline_ms: 300 }), middle);
  await clock.advance(200);
  router.silent = true;
  const routing = new RecordingSink();
  start(answerRequest("r2", { deadline_ms: 300 }), routing);
  await clock.advance(301);
  for (const sink of [middle, routing]) {
    expect(sink.failures).toMatchObject([{ code: "deadline", status: 504 }]);
  }
  expect(worker.cancelled).toEqual(["r1"]);
  await close();
});

test("what cannot be started fails at once: no such model, too many, twice the same", async () => {
  const { clock, start, close } = await setUp({
    answers_max: 1,
    tokenizerOf: (model) => (model === "none" ? undefined : byteTokenizer),
  });
  const codes: string[] = [];
  const failing = (name: string, model?: string) => {
    const sink = new RecordingSink();
    start(answerRequest(name, model === undefined ? {} : { model }), sink);
    return sink;
  };
  const sinks = [failing("r1"), failing("r1"), failing("r2"), failing("r3", "none")];
  await clock.advance(1);
  for (const sink of sinks) codes.push(sink.failures[0]?.code ?? "runs");
  expect(codes).toEqual(["runs", "overloaded", "overloaded", "no_worker"]);
  await close();
});

test("the same request id twice at once is refused", async () => {
  const { clock, start, close } = await setUp();
  const [first, second] = [new RecordingSink(), new RecordingSink()];
  start(answerRequest("r1"), first);
  start(answerRequest("r1"), second);
  await clock.advance(1);
  expect(first.outcomes).toBe(0);
  expect(second.failures).toMatchObject([{ code: "bad_request" }]);
  await close();
});
