import { edenGC, fullGC, heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SlotMap } from "../../../runtime/slot-map.ts";

test("behaves as a Map does, whatever is done to it", () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e");
  const step = fc.oneof(
    fc.record({ what: fc.constant("set" as const), key, value: fc.nat() }),
    fc.record({ what: fc.constantFrom("get", "has", "take", "delete", "clear"), key }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new SlotMap<string, number>();
      const model = new Map<string, number>();
      for (const one of steps) {
        const { what, key } = one;
        if ("value" in one) {
          map.set(key, one.value);
          model.set(key, one.value);
        } else if (what === "get") expect(map.get(key)).toBe(model.get(key) as number);
        else if (what === "has") expect(map.has(key)).toBe(model.has(key));
        else if (what === "delete") expect(map.delete(key)).toBe(model.delete(key));
        else if (what === "clear") {
          map.clear();
          model.clear();
        } else {
          expect(map.take(key)).toBe(model.get(key) as number);
          model.delete(key);
        }
        expect(map.size).toBe(model.size);
        expect([...map]).toEqual([...model]);
        expect([...map.values()]).toEqual([...model.values()]);
        expect([...map.keys()]).toEqual([...model.keys()]);
      }
    }),
  );
});

test("entries may be taken out while it is walked", () => {
  const map = new SlotMap<number, string>();
  for (let i = 0; i < 20; i++) map.set(i, `v${i}`);
  for (const [key] of map) if (key % 2 === 0) map.delete(key);
  expect([...map.keys()]).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
});

class Payload {
  readonly numbers = [1, 2, 3];
}

type Held = { set(key: number, value: Payload): void; delete(key: number): boolean };

/** Live objects more than at first, once so many entries came and went, 16 there at a time. */
function survivors(map: Held, entries: number): number {
  let at = 0;
  const churn = (count: number): void => {
    for (let i = 0; i < count; i++, at++) {
      map.set(at, new Payload());
      map.delete(at - 16);
    }
  };
  churn(5_000);
  fullGC();
  const before = heapStats().objectCount;
  churn(entries);
  edenGC();
  return heapStats().objectCount - before;
}

test("what was taken out does not outlive a young collection, as in a Map it does", () => {
  expect(survivors(new SlotMap<number, Payload>(), 2_000)).toBeLessThan(200);
  // The day this fails the class has no reason any more.
  expect(survivors(new Map<number, Payload>(), 2_000)).toBeGreaterThan(500);
});
