/** A worker with a fake engine in virtual time, and actors that hear what it tells them. */
import { WorkerActor, type WorkerOptions } from "../../../actors/worker/worker.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import type {
  ConsumerMessage,
  Finished,
  Generate,
  TokenBatch,
  WorkerMessage,
  WorkerRecord,
} from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { FakeEngine, type FakeEngineOptions } from "../engine/fake-engine.ts";
import { modelCard } from "./fake-registry.ts";
import { joinAlone } from "./join-alone.ts";
import { answerRequest } from "./recorded-answer.ts";
import { testSystem } from "./test-system.ts";

/** Whoever a worker talks to; keeps what it is told. */
export class Listener<M extends Message> extends Actor<M> {
  readonly heard: { at_ms: number; message: M }[] = [];

  override receive(message: M): void {
    this.heard.push({ at_ms: this.ctx.clock.now_ms(), message });
  }
}

export async function workerAlone(
  engine_options: FakeEngineOptions = {},
  options: Partial<WorkerOptions> = {},
) {
  const { system, clock, log } = testSystem(1);
  const node = await joinAlone(system);
  const engine = new FakeEngine({ step_ms: 10, ...engine_options });
  const records: WorkerRecord[] = [];
  const left: string[] = [];
  const stages: string[] = [];
  const make = () =>
    new WorkerActor({
      worker: "w0",
      role: "aggregated",
      open: async () => engine,
      describe: async () => ({
        card: modelCard("m"),
        blobs: new Map([["abc", Uint8Array.of(1, 2, 3)]]),
      }),
      canary: { prompt: Uint32Array.of(1, 2), max_tokens: 3, deadline_ms: 1_000 },
      registry: {
        register: async (record) => void records.push(record),
        deregister: async (worker) => void left.push(worker),
      },
      progress: ({ stage }) => void stages.push(stage),
      ...options,
    });
  const worker: Ref<WorkerMessage> = system.spawn(make, { name: "worker" });
  await clock.advance(100);
  const listen = <M extends Message>(name: string) => {
    const actor = new Listener<M>();
    const ref = system.spawn(() => actor, { name });
    return { actor, ref, wire: wireOf(system, ref) };
  };
  const consumer = listen<ConsumerMessage>("consumer");
  const generate = (request: string, changes: Partial<Generate> = {}): Generate => ({
    kind: "generate",
    request,
    model: "m",
    prompt: bytesOf(Uint32Array.of(1, 2, 3)),
    sampling: answerRequest("r").sampling,
    choices: [{ choice: 0, delivered: new Uint8Array(0), max_tokens: 8 }],
    min_tokens: 0,
    stop_tokens: [],
    ignore_eos: true,
    logprobs: -1,
    consumer: consumer.wire,
    deadline_ms: 5_000,
    window_tokens: 100,
    alone: false,
    ...changes,
  });
  const ask = (message: Generate) => system.ask(worker, message, { deadline_ms: 1_000 });
  const batches = (): TokenBatch[] => batchesIn(consumer.actor.heard.map((each) => each.message));
  const close = async () => {
    await system.shutdown();
    node.close();
  };
  return {
    ...{ system, clock, log, engine, records, left, stages, worker, make },
    ...{ consumer, listen, generate, ask, batches, close },
  };
}

const batchesIn = (messages: readonly ConsumerMessage[]): TokenBatch[] =>
  messages.filter((message) => message.kind === "token_batch");
export const tokensIn = (messages: readonly ConsumerMessage[], choice = 0) =>
  batchesIn(messages).flatMap((batch) =>
    batch.choices.filter((part) => part.choice === choice).flatMap((part) => [...part.tokens]),
  );
export const endsIn = (messages: readonly ConsumerMessage[]): Finished[] =>
  batchesIn(messages).flatMap((batch) => [...batch.finished]);
