/** A worker that gets another role while it has answers. */
import { expect, test } from "bun:test";
import { workerAlone } from "../../support/worlds/worker-alone.ts";

test("a worker with another role leaves the registry, finishes what it has, and comes back", async () => {
  const { system, clock, worker, generate, ask, records, left, close } = await workerAlone();
  await ask(generate("r"));
  const change = { kind: "change_role", role: "prefill", budget_ms: 1_000 } as const;
  const changed = system.ask(worker, change, { deadline_ms: 5_000 });
  await clock.advance(10);
  expect(left).toEqual(["w0"]);
  expect(await ask(generate("s"))).toMatchObject({ kind: "refused", code: "draining" });
  await clock.advance(500);
  expect(await changed).toEqual({ kind: "role_changed", role: "prefill", why: "" });
  expect(records.at(-1)).toMatchObject({ worker: "w0", role: "prefill" });
  expect(await ask(generate("t"))).toMatchObject({ kind: "accepted" });
  // The end of the first drain's budget does not end a later one.
  const again = { kind: "change_role", role: "decode", budget_ms: 2_000 } as const;
  const next = system.ask(worker, again, { deadline_ms: 5_000 });
  await clock.advance(1_000);
  expect(await next).toEqual({ kind: "role_changed", role: "decode", why: "" });
  await close();
});

test("a worker that is stopped while it changes its role keeps the old one", async () => {
  const { system, clock, worker, generate, ask, records, close } = await workerAlone();
  await ask(generate("r"));
  const change = { kind: "change_role", role: "decode", budget_ms: 1_000 } as const;
  const changed = system.ask(worker, change, { deadline_ms: 5_000 });
  const drain = { kind: "drain", budget_ms: 1_000, nobody_follows: false } as const;
  const drained = system.ask(worker, drain, { deadline_ms: 5_000 });
  await clock.advance(500);
  const why = "it is being drained for its end";
  expect(await changed).toEqual({ kind: "role_changed", role: "aggregated", why });
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  expect(records.map(({ role }) => role)).toEqual(["aggregated"]);
  expect(await ask(generate("s"))).toMatchObject({ kind: "refused", code: "draining" });
  await close();
});

test("a second wish for a role is answered when the first one is over, and holds", async () => {
  const { system, clock, worker, generate, ask, records, close } = await workerAlone();
  await ask(generate("r"));
  const wish = (role: "prefill" | "decode") =>
    system.ask(worker, { kind: "change_role", role, budget_ms: 1_000 }, { deadline_ms: 5_000 });
  const [first, same, last] = [wish("prefill"), wish("prefill"), wish("decode")];
  await clock.advance(500);
  const since = { role: "decode", why: "it was asked for another one since" };
  expect([await first, await same]).toMatchObject([since, since]);
  expect(await last).toEqual({ kind: "role_changed", role: "decode", why: "" });
  expect(records.at(-1)).toMatchObject({ role: "decode" });
  expect(await ask(generate("s"))).toMatchObject({ kind: "accepted" });
  await close();
});

test("a worker that is drained for its end says at once that it takes no other role", async () => {
  const { system, clock, worker, generate, ask, close } = await workerAlone();
  await ask(generate("r"));
  const drain = { kind: "drain", budget_ms: 10, nobody_follows: false } as const;
  const drained = system.ask(worker, drain, { deadline_ms: 5_000 });
  await clock.advance(11);
  expect(await drained).toMatchObject({ unfinished: 1 });
  const change = { kind: "change_role", role: "decode", budget_ms: 1_000 } as const;
  expect(await system.ask(worker, change, { deadline_ms: 5_000 })).toMatchObject({
    ...{ role: "aggregated", why: "it is being drained for its end" },
  });
  await close();
});
