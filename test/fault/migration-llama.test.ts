/**
 * Answers of a real model whose worker dies: the next one computes on from exactly the tokens that
 * came, and no token comes twice. Whole workers in this process, killed at random points.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Engine, EngineEvent, EngineRequest } from "../../actors/engine/engine.ts";
import { openLlama } from "../../actors/engine/llama/llama.ts";
import { routerOf } from "../../actors/router/router.ts";
import {
  type AnswerPiece,
  type AnswerRequest,
  StreamParent,
  startAnswerWith,
} from "../../actors/stream/stream.ts";
import { WorkerActor } from "../../actors/worker/worker.ts";
import type { RouterMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { createSystem } from "../../runtime/kernel/system.ts";
import { realCapabilities } from "../../runtime/real/capabilities.ts";
import { until } from "../support/cluster.ts";
import { EngineDriver } from "../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../support/engine/engine-model.ts";
import { byteTokenizer } from "../support/tokens/byte-tokenizer.ts";
import { FakeRegistry, modelCard } from "../support/worlds/fake-registry.ts";
import { joinAlone } from "../support/worlds/join-alone.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

const TOKENS = 48;
/**
 * The small model makes all of them while a busy machine lets nobody read, and then nothing is left
 * to kill: a worker is at most about two windows ahead of its reader.
 */
const WINDOW_TOKENS = 4;

/** Remembers what it was asked, and how many tokens it said. */
class WatchedEngine {
  readonly asked: EngineRequest[] = [];
  readonly engine: Engine;

  constructor(inner: Engine) {
    const { asked } = this;
    this.engine = new Proxy(inner, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]) => {
          // Handle 0 is the worker's own first try.
          const [request] = args as [EngineRequest];
          if (name === "submit" && request.handle !== 0) asked.push(request);
          return Reflect.apply(value, target, args) as readonly EngineEvent[];
        };
      },
    });
  }
}

class CountingSink extends RecordingSink {
  readonly #seen: (count: number) => void;

  constructor(seen: (count: number) => void) {
    super();
    this.#seen = seen;
  }

  override piece(piece: AnswerPiece): boolean {
    const takes = super.piece(piece);
    this.#seen(this.tokens().length);
    return takes;
  }
}

async function killedAt(request: AnswerRequest, kill_at: number) {
  const system = createSystem({
    node: "n",
    capabilities: realCapabilities({ log_level: "error", write_log: () => {} }),
  });
  const node = await joinAlone(system);
  const registry = new FakeRegistry((run) => run());
  const engines: WatchedEngine[] = [];
  const workers: Ref[] = [];
  for (const worker of ["w0", "w1"]) {
    const inner = await openLlama({ model: TEST_MODEL, kv_tokens: 2_048, context_length: 512 });
    const watched = new WatchedEngine(inner);
    engines.push(watched);
    const make = () =>
      new WorkerActor({
        worker,
        role: "aggregated",
        open: async () => watched.engine,
        describe: async () => ({ card: modelCard(), blobs: new Map() }),
        canary: { prompt: Uint32Array.of(1, 2, 3), max_tokens: 1, deadline_ms: 10_000 },
        registry,
        progress: () => {},
      });
    workers.push(await system.spawnReady(make, { name: worker }));
  }
  const make = () => routerOf({ mode: "round-robin", watch: registry.watch });
  const router: Ref<RouterMessage> = system.spawn(make, { name: "router" });
  const tokenizer = { ...byteTokenizer, vocab_size: 1 << 20, tokenBytes: () => Uint8Array.of(97) };
  const options = {
    router: () => router,
    tokenizerOf: () => tokenizer,
    window_tokens: WINDOW_TOKENS,
  };
  const answers = system.spawn(() => new StreamParent(options), { name: "streams" });
  let killed = -1;
  const sink = new CountingSink((count) => {
    if (killed >= 0 || count < kill_at) return;
    killed = engines.findIndex(({ asked }) => asked.length > 0);
    system.control(`/w${killed}`, "kill");
  });
  startAnswerWith(answers)(request, sink);
  await until("the answer to end", 20_000, () => sink.outcomes > 0);
  await system.shutdown();
  node.close();
  await Promise.all(engines.map(({ engine }) => engine.close()));
  const asked = engines.flatMap((engine) => engine.asked);
  return { sink, first: engines[killed]?.asked[0], second: asked.find((each) => isLater(each)) };
}

const isLater = ({ tokens, prompt_tokens }: EngineRequest) => tokens.length > prompt_tokens;

test("at 20 random points: computed on from exactly what came, nothing twice", async () => {
  const prompt = Uint32Array.from({ length: 24 }, (_, i) => 20 + ((i * 37) % 200));
  const sampling = {
    ...answerRequest("r").sampling,
    temperature: 0.9,
    top_p: 0.95,
    repetition_penalty: 1.1,
    frequency_penalty: 0.3,
    seed: Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2),
  };
  const asked = { prompt, sampling, max_tokens: TOKENS, ignore_eos: true, min_tokens: TOKENS };
  const request = answerRequest("r", asked);
  const points = fc.sample(fc.integer({ min: 1, max: TOKENS - 3 * WINDOW_TOKENS }), {
    numRuns: 20,
    seed: 5,
  });
  const alone = await openLlama({ model: TEST_MODEL, kv_tokens: 2_048, context_length: 512 });
  const driver = new EngineDriver(alone);
  for (const point of points) {
    const { sink, first, second } = await killedAt(request, point);
    expect(sink.failures).toEqual([]);
    expect(sink.tokens()).toHaveLength(TOKENS);
    expect(sink.pieces.at(-1)?.delivered).toBe(TOKENS);
    expect(sink.usages[0]?.completion_tokens).toBe(TOKENS);
    if (first === undefined || second === undefined) throw new Error("it never moved");
    const made = second.tokens.length - prompt.length;
    expect(made).toBeGreaterThanOrEqual(point);
    // The prompt and what came of the answer, no token more or less.
    expect([...second.tokens]).toEqual([...prompt, ...sink.tokens().slice(0, made)]);
    expect(second).toMatchObject({ prompt_tokens: prompt.length, max_tokens: TOKENS - made });
    expect(second).toMatchObject({ sampling: first.sampling, min_tokens: first.min_tokens });
    // What came then is what any engine of this model makes of that: index, penalties and all.
    const [again] = await driver.run([{ ...second, handle: 1 }]);
    expect(again?.first_index).toBe(made);
    expect(sink.tokens().slice(made)).toEqual(again?.tokens ?? []);
  }
  await alone.close();
}, 120_000);
