import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Down } from "../../../runtime/kernel/actor.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import { shutdown } from "../../../runtime/kernel/exit-reason.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

type Run = { readonly kind: "run"; readonly run: (ctx: Context<Message>) => void };

/** Does what it is told, so that a test can speak with an actor's voice. */
function puppet(downs: Down[] = []) {
  return actorOf<Run>({
    receive: ({ run }, ctx) => run(ctx as Context<Message>),
    down: (signal) => void downs.push(signal),
  });
}

test("each monitor tells exactly once, also of an actor that ended before", async () => {
  const { system } = testSystem();
  const downs: Down[] = [];
  const watcher = system.spawn(puppet(downs), { name: "watcher" });
  const target = system.spawn(puppet(), { name: "target" });
  const ids: number[] = [];
  const monitor: Run = { kind: "run", run: (ctx) => void ids.push(ctx.monitor(target)) };
  watcher.tell(monitor);
  watcher.tell(monitor);
  await system.idle();
  system.stop(target);
  await system.idle();
  watcher.tell(monitor);
  await system.idle();
  const told = downs.map(
    ({ monitor: id, reason, ref }) => `${id} ${reason.kind} ${ref === target}`,
  );
  expect(told).toEqual([
    `${ids[0]} shutdown true`,
    `${ids[1]} shutdown true`,
    `${ids[2]} noproc true`,
  ]);
});

test("after demonitor no Down comes, also when it was under way", async () => {
  const { system } = testSystem();
  const downs: Down[] = [];
  const watcher = system.spawn(puppet(downs), { name: "watcher" });
  const target = system.spawn(puppet(), { name: "target" });
  const run = (ctx: Context<Message>): void => {
    const gone = ctx.monitor(target);
    system.control("/target", "kill");
    ctx.demonitor(gone);
    ctx.demonitor(gone);
  };
  watcher.tell({ kind: "run", run });
  await system.idle();
  expect(system.lookup("/target")).toBeUndefined();
  const late = (ctx: Context<Message>): void => ctx.demonitor(ctx.monitor(target));
  watcher.tell({ kind: "run", run: late });
  await system.idle();
  expect(downs).toEqual([]);
});

test("any set of monitors and ends: exactly one Down for each that stands", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("monitor" as const), target: fc.nat(3) }),
    fc.record({ do: fc.constant("demonitor" as const), target: fc.nat(20) }),
    fc.record({ do: fc.constant("end" as const), target: fc.nat(3) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { system } = testSystem();
      const downs: Down[] = [];
      const watcher = system.spawn(puppet(downs), { name: "watcher" });
      const targets = [0, 1, 2, 3].map((i) => system.spawn(puppet(), { name: `t${i}` }));
      const alive = [true, true, true, true];
      const monitors: { id: number; target: number; expected: string | undefined }[] = [];
      for (const one of steps) {
        await system.idle();
        const ref = targets[one.target % 4] as Ref<Run>;
        if (one.do === "monitor") {
          const run = (ctx: Context<Message>): void => {
            const expected = alive[one.target] ? undefined : "noproc";
            monitors.push({ id: ctx.monitor(ref), target: one.target, expected });
          };
          watcher.tell({ kind: "run", run });
        } else if (one.do === "demonitor") {
          const at = one.target % Math.max(1, monitors.length);
          const monitor = monitors[at];
          if (monitor === undefined) continue;
          watcher.tell({ kind: "run", run: (ctx) => ctx.demonitor(monitor.id) });
          if (monitor.expected === undefined) monitors.splice(at, 1);
        } else {
          system.stop(ref);
          for (const monitor of monitors) {
            if (monitor.target === one.target) monitor.expected ??= shutdown.kind;
          }
          alive[one.target] = false;
        }
      }
      await system.idle();
      const told = downs.map(({ monitor, reason }) => `${monitor} ${reason.kind}`).sort();
      const expected = monitors
        .filter((monitor) => monitor.expected !== undefined)
        .map(({ id, expected }) => `${id} ${expected}`);
      expect(told).toEqual(expected.sort());
    }),
    { numRuns: 60 },
  );
});
