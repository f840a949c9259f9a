/** How many slots a connection gives to the actors that are named on it. */
import { expect, test } from "bun:test";
import { InternTable, SLOTS_FIRST } from "../../../runtime/remote/intern-table.ts";

test("few live actors stay with few slots, many get more", () => {
  const address = { node: "b", path: "/b", incarnation: 1n };
  const slots = new InternTable();
  let interned = 0;
  const intern = () => {
    interned++;
  };
  const use = (keys: readonly string[], had: Map<string, number>) => {
    for (const key of keys) {
      const slot = had.get(key);
      if (slot !== undefined && slots.holds(slot, key)) continue;
      if (slot !== undefined) slots.lost();
      had.set(key, slots.slotOf(key, address, intern));
    }
  };
  // One that stays and many that come and go: it is told anew once a lap, and no slot is added.
  const stays = new Map<string, number>();
  let highest = 0;
  for (let i = 0; i < 20 * SLOTS_FIRST; i++) {
    highest = Math.max(highest, slots.slotOf(`r${i}`, address, intern));
    use(["stays"], stays);
  }
  expect(highest).toBe(SLOTS_FIRST);
  expect(interned).toBeLessThan(20 * SLOTS_FIRST + 25);
  // A thousand that all stay: after a few rounds each has its own.
  const keys = Array.from({ length: 1_000 }, (_, i) => `s${i}`);
  const had = new Map<string, number>();
  for (let round = 0; round < 8; round++) use(keys, had);
  const before = interned;
  use(keys, had);
  expect(interned).toBe(before);
});
