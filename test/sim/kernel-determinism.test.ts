import { expect, test } from "bun:test";
import type { Context } from "../../runtime/kernel/context.ts";
import type { Ask } from "../../runtime/kernel/message.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { actorOf } from "../support/worlds/actor-of.ts";
import { simulatedSystem } from "../support/worlds/test-system.ts";

/**
 * Five nodes elect the one with the greatest number that each draws for itself: every node asks
 * every other one after a random wait, with deadlines that some asks miss.
 */

type Propose = Ask<number> & { readonly kind: "propose"; readonly value: number };
type Begin = { readonly kind: "begin"; readonly others: readonly Ref<Election>[] };
type Election = Propose | Begin;

type Outcome = { readonly hash: string; readonly leaders: number[]; readonly turns: number };

async function elect(seed: number): Promise<Outcome> {
  const simulation = new Simulation(seed);
  const best: number[] = [];
  const refs: Ref<Election>[] = [];
  for (let n = 0; n < 5; n++) {
    const { system } = simulatedSystem(simulation, `node${n}`);
    const receive = async (message: Election, ctx: Context<Election>): Promise<void> => {
      if (message.kind === "propose") {
        best[n] = Math.max(best[n] ?? 0, message.value);
        ctx.reply(best[n]);
        return;
      }
      best[n] = Math.max(best[n] ?? 0, ctx.random.u32());
      for (const other of message.others) {
        await new Promise<void>((done) => ctx.clock.after(ctx.random.unit() * 10, done));
        const proposal = { kind: "propose", value: best[n] ?? 0 } as const;
        const answer = await ctx.ask(other, proposal, { deadline_ms: 8 }).catch(() => 0);
        best[n] = Math.max(best[n] ?? 0, answer);
        simulation.note(`best of ${n} is ${best[n]}`);
      }
    };
    refs.push(system.spawn(actorOf<Election>({ receive }), { name: "elector" }));
  }
  const begin = (ref: Ref<Election>): boolean =>
    ref.tell({ kind: "begin", others: refs.filter((other) => other !== ref) });
  // All at once: whoever is asking answers nobody, and what misses its deadline is not handled.
  for (const ref of refs) begin(ref);
  await simulation.run(1000);
  // One after the other, twice: the greatest reaches the last one, then everybody.
  for (const ref of [...refs, ...refs]) {
    begin(ref);
    await simulation.run(1000);
  }
  const { trace_hash: hash, scheduler } = simulation;
  return { hash, leaders: best, turns: scheduler.turns };
}

test("the same seed gives the same run twice, down to the trace", async () => {
  for (let seed = 1; seed <= 10; seed++) expect(await elect(seed)).toEqual(await elect(seed));
});

test("other seeds give other orders, and all of them the same agreement", async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const { hash, leaders } = await elect(seed);
    hashes.add(hash);
    expect(new Set(leaders).size).toBe(1);
  }
  expect(hashes.size).toBe(20);
});

test("a run that never rests is found", async () => {
  const simulation = new Simulation(1);
  const { system } = simulatedSystem(simulation, "n");
  const ref = system.spawn(
    actorOf<{ readonly kind: "again" }>({ receive: (message, ctx) => void ctx.self.tell(message) }),
    { name: "restless" },
  );
  ref.tell({ kind: "again" });
  await expect(simulation.run(10, 500)).rejects.toThrow("seed 1: still busy after 500 turns");
});
