import { expect, test } from "bun:test";
import fc from "fast-check";
import { Mailbox, type WhenFull } from "../../../runtime/kernel/mailbox.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { type Meta, TellMeta } from "../../../runtime/kernel/ref.ts";

type Numbered = Message & { readonly n: number };

const policies: readonly WhenFull[] = ["reject", "drop_oldest", "drop_newest"];

const command = fc.oneof(
  { weight: 5, arbitrary: fc.constant("offer" as const) },
  { weight: 4, arbitrary: fc.constant("shift" as const) },
  { weight: 1, arbitrary: fc.constant("burst" as const) },
  { weight: 1, arbitrary: fc.constant("drain" as const) },
);

/** The model: an array, and the policy in one line each. */
class ModelMailbox {
  readonly queue: [number, Meta | undefined][] = [];
  readonly lost: number[] = [];
  readonly capacity: number;
  readonly when_full: WhenFull;

  constructor(capacity: number, when_full: WhenFull) {
    this.capacity = capacity;
    this.when_full = when_full;
  }
  offer(n: number, meta: Meta | undefined): boolean {
    if (this.queue.length >= this.capacity) {
      if (this.when_full === "reject") return false;
      if (this.when_full === "drop_newest") {
        this.lost.push(n);
        return true;
      }
      this.lost.push((this.queue.shift() as [number, unknown])[0]);
    }
    this.queue.push([n, meta]);
    return true;
  }
}

for (const when_full of policies) {
  test(`a ring with ${when_full} does what an array would`, () => {
    const trace = { trace_id: "a".repeat(32), span_id: "b".repeat(16), flags: 1 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.array(command), (capacity, commands) => {
        const mailbox = new Mailbox({ capacity, when_full });
        const model = new ModelMailbox(capacity, when_full);
        const lost: number[] = [];
        let n = 0;
        const offer = (): void => {
          const message: Numbered = { kind: "numbered", n: n++ };
          const meta = message.n % 3 === 0 ? new TellMeta(trace) : undefined;
          const accepted = mailbox.offer(message, meta, (gone) => {
            lost.push((gone as Numbered).n);
          });
          expect(accepted).toBe(model.offer(message.n, meta));
        };
        const shift = (): void => {
          const expected = model.queue.shift();
          if (expected === undefined) return;
          expect((mailbox.shift() as Numbered).n).toBe(expected[0]);
          expect(mailbox.meta).toBe(expected[1]);
        };
        for (const one of commands) {
          if (one === "offer") offer();
          if (one === "shift") shift();
          if (one === "burst") for (let i = 0; i < 100; i++) offer();
          if (one === "drain") {
            mailbox.beginTurn(0);
            const count = mailbox.count;
            for (let i = 0; i < count; i++) shift();
            mailbox.endTurn(count, 0);
          }
          expect(mailbox.count).toBe(model.queue.length);
          expect(lost).toEqual(model.lost);
        }
      }),
    );
  });
}

test("the age of the oldest message is a lower bound and is 0 when empty", () => {
  const mailbox = new Mailbox({ capacity: 10, when_full: "reject" });
  expect(mailbox.oldestAge_ms(100)).toBe(0);
  mailbox.push({ kind: "a" }, undefined);
  mailbox.push({ kind: "b" }, undefined);
  mailbox.beginTurn(100);
  expect(mailbox.oldestAge_ms(150)).toBe(50);
  mailbox.shift();
  mailbox.endTurn(1, 150);
  expect(mailbox.oldestAge_ms(170)).toBe(70);
  mailbox.shift();
  mailbox.endTurn(1, 180);
  expect(mailbox.oldestAge_ms(200)).toBe(0);
});
