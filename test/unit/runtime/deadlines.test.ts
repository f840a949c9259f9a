import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Deadline, Deadlines } from "../../../runtime/kernel/deadlines.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

class Entry implements Deadline {
  bucket: Deadline["bucket"] = undefined;
  earlier: Deadline | undefined = undefined;
  later: Deadline | undefined = undefined;
  readonly deadline_ms: number;
  readonly #fired: (entry: Entry) => void;

  constructor(deadline_ms: number, fired: (entry: Entry) => void) {
    this.deadline_ms = deadline_ms;
    this.#fired = fired;
  }
  overdue(): void {
    this.#fired(this);
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant("add" as const), value: fc.double({ min: 0, max: 50 }) }),
  fc.record({ do: fc.constant("remove" as const), value: fc.double({ min: 0, max: 1 }) }),
  fc.record({ do: fc.constant("advance" as const), value: fc.double({ min: 0, max: 20 }) }),
);
const noNaN = fc.array(
  step.filter(({ value }) => !Number.isNaN(value)),
  { maxLength: 60 },
);

test("each deadline fires once, never early and less than a millisecond late", async () => {
  await fc.assert(
    fc.asyncProperty(noNaN, async (steps) => {
      const clock = new VirtualClock();
      const deadlines = new Deadlines(clock);
      const waiting = new Set<Entry>();
      const fired = (entry: Entry): void => {
        expect(waiting.delete(entry)).toBe(true);
        const late_ms = clock.now_ms() - entry.deadline_ms;
        expect(late_ms).toBeGreaterThanOrEqual(0);
        expect(late_ms).toBeLessThan(1 + 1e-6);
      };
      for (const { do: what, value } of steps) {
        if (what === "add") {
          const entry = new Entry(clock.now_ms() + value, fired);
          waiting.add(entry);
          deadlines.add(entry);
        } else if (what === "remove") {
          const entry = [...waiting][Math.floor(value * waiting.size)];
          if (entry === undefined) continue;
          waiting.delete(entry);
          deadlines.remove(entry);
          deadlines.remove(entry);
        } else {
          await clock.advance(value);
        }
      }
      await clock.runUntilIdle();
      expect(waiting.size).toBe(0);
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test("one timer serves all, and closing takes it away", () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock);
  for (let i = 0; i < 100; i++) deadlines.add(new Entry(100 + (i % 7), () => {}));
  expect(clock.pending).toBe(1);
  deadlines.add(new Entry(3, () => {}));
  expect([clock.pending, clock.next_due_ms]).toEqual([1, 3]);
  deadlines.close();
  expect(clock.pending).toBe(0);
});
