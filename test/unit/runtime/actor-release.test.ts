/** What an actor holds is given back however it ends, and nothing is taken after that. */
import { expect, test } from "bun:test";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ask } from "../../../runtime/kernel/message.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

type Go = { readonly kind: "go" };
type Get = { readonly kind: "get" } & Ask<string>;
const go: Go = { kind: "go" };

test("release is called once for a stop, a kill, a crash and a failed start, before others hear", async () => {
  const { system } = testSystem();
  const seen: string[] = [];
  const spawn = (name: string, init?: () => void) =>
    system.spawn(
      actorOf<Go>({
        ...(init === undefined ? {} : { init }),
        receive: () => {
          throw new Error("boom");
        },
        terminate: () => void seen.push(`${name} terminate`),
        release: () => void seen.push(`${name} release`),
      }),
      { name },
    );
  const stopped = spawn("stopped");
  const killed = spawn("killed");
  const crashed = spawn("crashed");
  for (const ref of [stopped, killed, crashed]) {
    system.onDown(ref, ({ kind }) => seen.push(`${ref.address.path} down ${kind}`));
  }
  system.stop(stopped);
  system.control("/killed", "kill");
  crashed.tell(go);
  await system.idle();
  spawn("failed", () => {
    throw new Error("no");
  });
  await system.idle();
  const of = (name: string) => seen.filter((line) => line.includes(name));
  expect(of("stopped")).toEqual(["stopped terminate", "stopped release", "/stopped down shutdown"]);
  expect(of("killed")).toEqual(["killed release", "/killed down killed"]);
  expect(of("crashed")).toEqual(["crashed terminate", "crashed release", "/crashed down crash"]);
  expect(of("failed")).toEqual(["failed release"]);
});

test("a kill releases the children too, and one that throws there stops nobody", async () => {
  const { system, log } = testSystem();
  const seen: string[] = [];
  const child = actorOf<Go>({
    release: () => {
      seen.push("child");
      throw new Error("no way");
    },
  });
  system.spawn(
    actorOf<Go>({
      init: (ctx) => void ctx.spawn(child, { name: "b" }),
      release: () => void seen.push("parent"),
    }),
    { name: "a" },
  );
  system.control("/a", "kill");
  await system.idle();
  expect(seen).toEqual(["child", "parent"]);
  expect(log.lines.map(({ message }) => message)).toEqual([
    expect.stringContaining("release failed"),
  ]);
  expect(system.tree()).toEqual([]);
});

test("what a pending init or handler opens after a kill is released again", async () => {
  const { system } = testSystem();
  const opened = Promise.withResolvers<string>();
  const held: string[] = [];
  let port: string | undefined;
  const parts = {
    release: () => {
      if (port !== undefined) held.push(port);
      port = undefined;
    },
  };
  system.spawn(
    actorOf<Go>({
      ...parts,
      init: async () => {
        port = await opened.promise;
      },
    }),
    { name: "starting" },
  );
  system.control("/starting", "kill");
  await system.idle();
  opened.resolve("8000");
  await system.idle();
  expect(held).toEqual(["8000"]);

  const second = Promise.withResolvers<string>();
  const busy = system.spawn(
    actorOf<Go>({
      ...parts,
      receive: async () => {
        port = await second.promise;
      },
    }),
    { name: "busy" },
  );
  busy.tell(go);
  await system.idle();
  system.control("/busy", "kill");
  await system.idle();
  second.resolve("8001");
  await system.idle();
  expect(held).toEqual(["8000", "8001"]);
});

test("a timer or monitor that is set after the end is none, and nothing is left of it", async () => {
  const { system, clock } = testSystem();
  const other = system.spawn(actorOf<Go>({}), { name: "other" });
  let late: (() => void) | undefined;
  let heard = 0;
  system.spawn(
    actorOf<Go>({
      init: (ctx) => {
        late = () => {
          ctx.cancel(ctx.after(10, go));
          ctx.after(10, go);
          ctx.every(10, go);
          ctx.monitor(other);
        };
      },
      receive: () => void heard++,
    }),
    { name: "a" },
  );
  system.control("/a", "kill");
  await system.idle();
  const timers = clock.pending;
  late?.();
  expect(clock.pending).toBe(timers);
  await clock.advance(100);
  expect(heard).toBe(0);
  // A monitor that hung on would be told now, as a dead letter.
  system.control("/other", "kill");
  await system.idle();
  expect(system.deadLetters().count).toBe(0);
});

test("an ask whose time is over before its turn is not handled", async () => {
  const { system, clock } = testSystem();
  const gate = Promise.withResolvers<void>();
  const handled: string[] = [];
  const ref = system.spawn(
    actorOf<Go | Get>({
      receive: async (message, ctx) => {
        handled.push(message.kind);
        if (message.kind === "go") await gate.promise;
        else ctx.reply("here");
      },
    }),
    { name: "a" },
  );
  ref.tell(go);
  const early = system.ask(ref, { kind: "get" }, { deadline_ms: 10 });
  const patient = system.ask(ref, { kind: "get" }, { deadline_ms: 1_000 });
  early.catch(() => {});
  await clock.advance(100);
  await expect(early).rejects.toBeInstanceOf(AskError);
  gate.resolve();
  expect(await patient).toBe("here");
  expect(handled).toEqual(["go", "get"]);
  expect(system.counters.expired_asks).toBe(1);
  expect(system.counters.late_replies).toBe(0);
});

test("whoever waits for a start hears of the stop that overtook it", async () => {
  const { system } = testSystem();
  const gate = Promise.withResolvers<void>();
  const child = Promise.withResolvers<void>();
  const starting = system.spawnReady(
    actorOf<Go>({
      // A child that takes its time to end keeps this one "stopping" when its init is done.
      init: (ctx) => {
        ctx.spawn(actorOf<Go>({ terminate: () => child.promise }), { name: "slow" });
        return gate.promise;
      },
    }),
    { name: "a" },
  );
  let outcome = "waiting";
  starting.then(
    () => {
      outcome = "started";
    },
    () => {
      outcome = "refused";
    },
  );
  await system.idle();
  system.control("/a", "stop");
  await system.idle();
  gate.resolve();
  await system.idle();
  expect(outcome).toBe("waiting");
  child.resolve();
  await system.idle();
  expect(outcome).toBe("refused");
});
