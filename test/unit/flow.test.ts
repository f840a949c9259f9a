/** Credit-based streams: in one process and across nodes, against a model. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Actor, type Down } from "../../runtime/actor.ts";
import {
  FlowConsumer,
  FlowProducer,
  type ToConsumer,
  type ToProducer,
} from "../../runtime/flow.ts";
import type { Ref } from "../../runtime/ref.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { type Note, note } from "../support/remote-child.ts";
import { RemoteWorld, type WorldNode } from "../support/remote-world.ts";

type Op = { readonly kind: "op"; readonly run: () => void };

class ProducerActor extends Actor<ToProducer | Op> {
  flow!: FlowProducer<Note>;
  readonly #consumer: () => Ref<ToConsumer<Note>>;
  readonly #window: number;

  constructor(consumer: () => Ref<ToConsumer<Note>>, window: number) {
    super();
    this.#consumer = consumer;
    this.#window = window;
  }
  override receive(message: ToProducer | Op): void {
    if (message.kind === "op") message.run();
    else this.flow.receive(message);
  }
  open(): void {
    const options = { flow: "f", window: this.#window };
    this.flow = new FlowProducer(this.ctx, this.#consumer(), options);
  }
  override down(signal: Down): void {
    this.flow.down(signal);
  }
}

class ConsumerActor extends Actor<ToConsumer<Note> | Op> {
  flow!: FlowConsumer<Note>;
  readonly numbers: number[] = [];
  readonly #producer: () => Ref<ToProducer>;
  readonly #window: number;

  constructor(producer: () => Ref<ToProducer>, window: number) {
    super();
    this.#producer = producer;
    this.#window = window;
  }
  override receive(message: ToConsumer<Note> | Op): void {
    if (message.kind === "op") {
      message.run();
      return;
    }
    if (message.kind === "flow_item") this.numbers.push(message.number);
    this.flow.receive(message);
  }
  open(): void {
    const options = { flow: "f", window: this.#window };
    this.flow = new FlowConsumer(this.ctx, this.#producer(), options);
  }
  override down(signal: Down): void {
    this.flow.down(signal);
  }
}

type Stream = {
  readonly world: RemoteWorld;
  readonly producer: ProducerActor;
  readonly consumer: ConsumerActor;
  readonly nodes: { readonly near: WorldNode; readonly far: WorldNode };
  readonly producing: (run: () => void) => void;
  readonly consuming: (run: () => void) => void;
};

/** A stream from `near` to `far`, or within `near`. */
async function stream(window: number, remote: boolean, seed = 1): Promise<Stream> {
  const delays = { delay_ms_max: 3, split_bytes_max: 200 };
  const world = new RemoteWorld(seed, remote ? delays : {});
  const near = await world.node("near");
  const far = remote ? await world.node("far") : near;
  const producer: ProducerActor = new ProducerActor(
    () => refOf(near.system, wireOf(far.system, consumerRef)),
    window,
  );
  const consumer: ConsumerActor = new ConsumerActor(
    () => refOf(far.system, wireOf(near.system, producerRef)),
    window,
  );
  const producerRef = near.system.spawn(() => producer, { name: "producer" });
  const consumerRef = far.system.spawn(() => consumer, { name: "consumer" });
  const producing = (run: () => void) => void producerRef.tell({ kind: "op", run });
  const consuming = (run: () => void) => void consumerRef.tell({ kind: "op", run });
  producing(() => producer.open());
  consuming(() => consumer.open());
  await world.pass(20);
  return { world, producer, consumer, nodes: { near, far }, producing, consuming };
}

type Step =
  | { readonly kind: "offer"; readonly times: number }
  | { readonly kind: "take"; readonly times: number }
  | { readonly kind: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("offer" as const), times: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ kind: fc.constant("take" as const), times: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 8 }) }),
);
type Ending = "end" | "cancel" | "kill";

/** Whatever is done: no more than the window is out, everything arrives once and in order. */
async function follow(
  remote: boolean,
  window: number,
  steps: readonly Step[],
  ending: Ending,
  seed: number,
): Promise<void> {
  const s = await stream(window, remote, seed);
  let offered = 0;
  const taken: number[] = [];
  const takeAll = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const item = s.consumer.flow.take();
      if (item === undefined) return;
      taken.push(item.fraction);
    }
  };
  for (const { kind, ...rest } of steps) {
    if (kind === "offer") {
      s.producing(() => {
        for (let i = 0; i < (rest as { times: number }).times; i++) {
          if (s.producer.flow.offer(note("item", offered + 1))) offered++;
        }
      });
    } else if (kind === "take") s.consuming(() => takeAll((rest as { times: number }).times));
    else await s.world.pass((rest as { ms: number }).ms);
    // The model's bound: the consumer holds or is to get at most a window.
    expect(offered - taken.length).toBeLessThanOrEqual(window);
    expect(s.consumer.flow.waiting).toBeLessThanOrEqual(window);
  }
  if (ending === "end") s.producing(() => s.producer.flow.end());
  else if (ending === "cancel") s.consuming(() => s.consumer.flow.cancel("enough"));
  else s.nodes.near.system.control("/producer", "kill");
  await s.world.pass(200);
  s.consuming(() => takeAll(1_000));
  await s.world.pass(200);
  const inOrder = Array.from({ length: taken.length }, (_, i) => i + 1);
  expect(taken).toEqual(inOrder);
  const kinds = [s.producer.flow.outcome?.kind, s.consumer.flow.outcome?.kind];
  if (ending === "end") {
    expect(taken.length).toBe(offered);
    expect(kinds).toEqual(["ended", "ended"]);
  } else if (ending === "cancel") {
    expect(kinds).toEqual(["cancelled", "cancelled"]);
  } else {
    expect(kinds[1]).toBe("lost");
    // What was told before the death of one actor on a living node is not lost.
    expect(taken.length).toBe(offered);
  }
}

describe("a flow", () => {
  for (const remote of [false, true]) {
    test(`${remote ? "across nodes" : "in one process"} agrees with its model`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 9 }),
          fc.array(step, { maxLength: 25 }),
          fc.constantFrom<Ending>("end", "cancel", "kill"),
          fc.nat(),
          (window, steps, ending, seed) => follow(remote, window, steps, ending, seed),
        ),
        { numRuns: 60 },
      );
    });
  }

  test("whose consumer dies ends for the producer; whose node dies for both", async () => {
    const one = await stream(4, true);
    one.nodes.far.system.control("/consumer", "kill");
    await one.world.pass(20);
    expect(one.producer.flow.outcome).toEqual({ kind: "lost", why: "killed" });
    expect(one.producer.flow.offer(note("x"))).toBe(false);

    const two = await stream(4, true);
    two.nodes.far.net.kill();
    await two.world.pass(20);
    expect(two.producer.flow.outcome).toEqual({ kind: "lost", why: "noconnection" });
  });

  test("that loses an item tells both sides; a repeat is dropped", async () => {
    const s = await stream(8, false);
    const item = (number: number) =>
      ({ kind: "flow_item", flow: "f", number, item: note("x", number) }) as const;
    s.consuming(() => {
      s.consumer.flow.receive(item(1));
      s.consumer.flow.receive(item(1));
      s.consumer.flow.receive(item(2));
      s.consumer.flow.receive(item(4));
    });
    await s.world.pass(5);
    expect(s.consumer.flow.waiting).toBe(2);
    expect(s.consumer.flow.outcome).toEqual({ kind: "lost", why: "items 3 to 3 did not arrive" });
    expect(s.producer.flow.outcome?.kind).toBe("cancelled");
  });

  test("an end that names more items than came is a loss; an error is passed on", async () => {
    const s = await stream(8, false);
    s.consuming(() => {
      s.consumer.flow.receive({ kind: "flow_end", flow: "f", last: 2, error: "" });
    });
    await s.world.pass(5);
    expect(s.consumer.flow.outcome?.kind).toBe("lost");
    const t = await stream(8, true);
    t.producing(() => t.producer.flow.end("the engine broke"));
    await t.world.pass(20);
    expect(t.consumer.flow.outcome).toEqual({ kind: "failed", error: "the engine broke" });
  });

  test("that ends and whose producer stops in the same turn has ended, not been lost", async () => {
    for (const remote of [false, true]) {
      const s = await stream(8, remote);
      s.producing(() => {
        s.producer.flow.offer(note("last", 1));
        s.producer.flow.end();
        s.nodes.near.system.control("/producer", "stop");
      });
      await s.world.pass(30);
      expect(s.consumer.flow.outcome).toEqual({ kind: "ended" });
      expect(s.consumer.flow.waiting).toBe(1);
    }
  });

  test("leaves messages of other flows alone", async () => {
    const s = await stream(8, false);
    const other = { kind: "flow_end", flow: "g", last: 0, error: "" } as const;
    s.consuming(() => expect(s.consumer.flow.receive(other)).toBe(false));
    s.producing(() => {
      const credit = { kind: "flow_credit", flow: "g", up_to: 99 } as const;
      expect(s.producer.flow.receive(credit)).toBe(false);
    });
    await s.world.pass(5);
    expect(s.producer.flow.credit).toBe(8);
  });
});
