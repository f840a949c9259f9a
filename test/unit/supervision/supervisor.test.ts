/**
 * Supervisors: start, restart, give up, stop.
 *
 * Long because every strategy and restart type has its cases.
 */
import { describe, expect, test } from "bun:test";
import { type AskError, BadSupervisorSpec } from "../../../runtime/kernel/errors.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import {
  type ChildSpec,
  defaultBackoff,
  type LoopChange,
  type SupervisorSpec,
} from "../../../runtime/supervision/child-spec.ts";
import { type SupervisorMessage, supervisor } from "../../../runtime/supervision/supervisor.ts";
import { actorOf, type Parts } from "../../support/worlds/actor-of.ts";
import { noBackoff, type TestSystem, testSystem } from "../../support/worlds/test-system.ts";

type Order = { readonly kind: "crash" | "finish" | "shut" };

/** Children that write down their starts and ends. */
class Family {
  readonly test: TestSystem = testSystem();
  readonly log: string[] = [];
  /** Children whose next `init` throws. */
  readonly failing = new Set<string>();

  get system(): ActorSystem {
    return this.test.system;
  }

  child(id: string, more: Partial<ChildSpec> = {}, parts: Parts<Order> = {}): ChildSpec {
    const start = actorOf<Order>({
      init: () => {
        if (this.failing.has(id)) throw new Error(`${id} cannot start`);
        this.log.push(`+${id}`);
      },
      receive: (message, ctx) => {
        if (message.kind === "crash") throw new Error("crash");
        ctx.stop(undefined, { kind: message.kind === "finish" ? "normal" : "shutdown" });
      },
      terminate: () => void this.log.push(`-${id}`),
      ...parts,
    });
    return { id, start, ...more };
  }

  supervise(spec: SupervisorSpec, name = "sup"): Ref<SupervisorMessage> {
    const { system } = this;
    const make = supervisor({ backoff: noBackoff, ...spec });
    return system.spawn(make, { name, shutdown_ms: "infinity" });
  }

  async send(id: string, kind: Order["kind"] | "kill"): Promise<void> {
    if (kind === "kill") this.system.control(`/sup/${id}`, "kill");
    else this.system.lookup(`/sup/${id}`)?.tell({ kind });
    await this.system.idle();
  }

  running(): string[] {
    const prefix = "/sup/";
    return this.system
      .tree()
      .filter(({ path }) => path.startsWith(prefix))
      .map(({ path }) => path.slice(prefix.length));
  }

  contexts(): string[] {
    return this.system.crashReports().map(({ context, offender }) => `${context} ${offender.id}`);
  }

  taken(): string {
    return this.log.splice(0).join(" ");
  }
}

test("children start from left to right and stop from right to left", async () => {
  const family = new Family();
  const ref = family.supervise({ children: ["a", "b", "c"].map((id) => family.child(id)) });
  expect(family.taken()).toBe("+a +b +c");
  family.system.stop(ref);
  await family.system.idle();
  expect(family.taken()).toBe("-c -b -a");
  expect(family.contexts()).toEqual([]);
});

test("a child that cannot start takes the started ones back, in reverse, and the start fails", async () => {
  const family = new Family();
  family.failing.add("c");
  const make = supervisor({ children: ["a", "b", "c", "d"].map((id) => family.child(id)) });
  const outcome = family.system.spawnReady(make, { name: "sup" }).catch(({ message }) => message);
  expect(await outcome).toBe("/sup did not start: crash: Error: c cannot start");
  expect(family.taken()).toBe("+a +b -b -a");
  expect(family.contexts()).toEqual(["start_error c", "start_error sup"]);
  expect(family.system.tree()).toEqual([]);
});

test("children that start together do not wait for each other, and one that cannot fails all", async () => {
  const family = new Family();
  const { clock } = family.test;
  const slow = (id: string, delay_ms: number) =>
    family.child(
      id,
      {},
      {
        init: async () => {
          await new Promise<void>((resolve) => clock.after(delay_ms, resolve));
          if (family.failing.has(id)) throw new Error(`${id} cannot start`);
          family.log.push(`+${id}`);
        },
      },
    );
  const spec = (): SupervisorSpec => ({
    first_start: "together",
    children: [family.child("a"), slow("b", 200), slow("c", 100), family.child("d")],
  });
  const ready = family.system.spawnReady(supervisor(spec()), { name: "sup" });
  await clock.advance(199);
  expect(family.taken()).toBe("+a +d +c");
  await clock.advance(1);
  const ref = await ready;
  expect(family.taken()).toBe("+b");
  family.system.stop(ref);
  await family.system.idle();
  expect(family.taken()).toBe("-d -c -b -a");
  family.failing.add("c");
  const failed = family.system
    .spawnReady(supervisor(spec()), { name: "again" })
    .catch(({ message }) => message);
  await clock.advance(300);
  expect(await failed).toBe("/again did not start: crash: Error: c cannot start");
  expect(family.system.tree()).toEqual([]);
});

test("the same when the child takes its time to fail", async () => {
  const family = new Family();
  const { clock } = family.test;
  const wait = (): Promise<void> => new Promise((done) => clock.after(10, done));
  const slow = (id: string, error?: string): ChildSpec =>
    family.child(
      id,
      {},
      {
        init: async () => {
          await wait();
          if (error !== undefined) throw new Error(error);
          family.log.push(`+${id}`);
        },
      },
    );
  const make = supervisor({ children: [slow("a"), slow("b"), slow("c", "late")] });
  const outcome = family.system.spawnReady(make, { name: "sup" }).catch(({ message }) => message);
  await clock.advance(15);
  expect(family.taken()).toBe("+a");
  await clock.advance(100);
  expect(await outcome).toContain("late");
  expect(family.taken()).toBe("+b -b -a");
});

test("one_for_one restarts the one that failed, as a new incarnation", async () => {
  const family = new Family();
  family.supervise({ intensity: 5, children: ["a", "b"].map((id) => family.child(id)) });
  family.taken();
  const old = family.system.lookup("/sup/a") as Ref<Message>;
  const { incarnation } = old.address;
  await family.send("a", "crash");
  expect(family.taken()).toBe("-a +a");
  expect(family.system.lookup("/sup/a")?.address.incarnation).not.toBe(incarnation);
  expect(old.tell({ kind: "crash" })).toBe(false);
  await family.send("a", "kill");
  expect(family.taken()).toBe("+a");
  const node = family.system.tree().find(({ path }) => path === "/sup/a");
  expect(node).toMatchObject({ restarts: 2, last_crash: "killed" });
  expect(family.running()).toEqual(["a", "b"]);
  expect(family.contexts()).toEqual(["child_terminated a", "child_terminated a"]);
});

test("one_for_all and rest_for_one stop from the right and start from the left", async () => {
  for (const [strategy, expected] of [
    ["one_for_all", "-b -d -c -a +a +b +c +d"],
    ["rest_for_one", "-b -d -c +b +c +d"],
  ] as const) {
    const family = new Family();
    const children = ["a", "b", "c", "d"].map((id) => family.child(id));
    family.supervise({ strategy, children });
    family.taken();
    await family.send("b", "crash");
    expect(family.taken()).toBe(expected);
    expect(family.running()).toEqual(["a", "b", "c", "d"]);
  }
});

test("a group's temporary children are stopped and not started again", async () => {
  const family = new Family();
  const children = [
    family.child("a"),
    family.child("b", { restart: "temporary" }),
    family.child("c", { restart: "transient" }),
  ];
  family.supervise({ strategy: "one_for_all", children });
  family.taken();
  await family.send("a", "crash");
  expect(family.taken()).toBe("-a -c -b +a +c");
});

test("transient children come back only after a failure, temporary ones never", async () => {
  const family = new Family();
  const children = [
    family.child("t1", { restart: "transient" }),
    family.child("t2", { restart: "transient" }),
    family.child("t3", { restart: "transient" }),
    family.child("x", { restart: "temporary" }),
    family.child("p"),
  ];
  family.supervise({ children, intensity: 10 });
  await family.send("t1", "finish");
  await family.send("t2", "shut");
  await family.send("t3", "crash");
  await family.send("x", "crash");
  await family.send("p", "finish");
  expect(family.running()).toEqual(["t3", "p"]);
  expect(family.contexts()).toEqual([
    "child_terminated t3",
    "child_terminated x",
    "child_terminated p",
  ]);
});

test("one failure too many ends the supervisor with a report, its children first", async () => {
  const family = new Family();
  const ref = family.supervise({ children: ["a", "b"].map((id) => family.child(id)) });
  const ends: unknown[] = [];
  family.system.onDown(ref, (reason) => ends.push(reason));
  family.taken();
  await family.send("a", "crash");
  await family.send("a", "crash");
  expect(family.taken()).toBe("-a +a -a -b");
  expect(ends).toEqual([{ kind: "shutdown", detail: "reached_max_restart_intensity" }]);
  const report = family.system.crashReports().at(-1);
  expect(report).toMatchObject({
    supervisor: "/sup",
    context: "shutdown",
    reason: { kind: "shutdown", detail: "reached_max_restart_intensity" },
    offender: { id: "a", restart: "permanent", restarts: 1 },
  });
});

test("a supervisor of a supervisor restarts it with its children", async () => {
  const family = new Family();
  const inner = supervisor({ backoff: noBackoff, children: [family.child("a")] });
  family.supervise({ children: [{ id: "inner", start: inner, kind: "supervisor" }] });
  family.taken();
  for (let i = 0; i < 2; i++) {
    family.system.lookup("/sup/inner/a")?.tell({ kind: "crash" });
    await family.system.idle();
  }
  expect(family.taken()).toBe("-a +a -a +a");
  expect(family.running()).toEqual(["inner", "inner/a"]);
  expect(family.system.tree()[1]).toMatchObject({ kind: "supervisor", restarts: 1 });
});

test("a back-off holds up its own child, neither the others nor a stop", async () => {
  const family = new Family();
  const { clock } = family.test;
  const ref = family.supervise({
    intensity: 100,
    backoff: { first_ms: 100, max_ms: 1000, factor: 2, jitter: 0 },
    children: ["a", "b"].map((id) => family.child(id)),
  });
  family.taken();
  await family.send("a", "crash");
  expect(family.running()).toEqual(["b"]);
  await clock.advance(50);
  await family.send("b", "crash");
  await clock.advance(50);
  expect(family.running()).toEqual(["a"]);
  await clock.advance(50);
  expect(family.running()).toEqual(["a", "b"]);
  await family.send("a", "crash");
  await clock.advance(199);
  expect(family.running()).toEqual(["b"]);
  family.system.stop(ref);
  await family.system.idle();
  expect(family.system.tree()).toEqual([]);
  expect(clock.pending).toBe(0);
});

test("while a group waits out its back-off, a request to stop one of it is kept", async () => {
  const family = new Family();
  const { clock } = family.test;
  const { system } = family;
  const ref = family.supervise({
    strategy: "one_for_all",
    intensity: 10,
    backoff: { first_ms: 100, max_ms: 100, factor: 1, jitter: 0 },
    children: ["a", "b", "c"].map((id) => family.child(id)),
  });
  await family.send("b", "crash");
  const list = await system.ask(ref, { kind: "which_children" }, { deadline_ms: 10 });
  expect(list.map(({ status }) => status)).toEqual(["backing_off", "backing_off", "backing_off"]);
  const stop = { kind: "terminate_child", id: "a" } as const;
  expect(await system.ask(ref, stop, { deadline_ms: 10 })).toBe(true);
  await clock.advance(100);
  expect(family.running()).toEqual(["b", "c"]);
  // As in OTP, the next recovery takes it in again.
  await family.send("c", "crash");
  await clock.advance(100);
  expect(family.running()).toEqual(["a", "b", "c"]);
  await family.send("c", "crash");
  system.stop(ref);
  await system.idle();
  expect(system.tree()).toEqual([]);
  expect(clock.pending).toBe(0);
});

test("a child that lived long enough begins a new row of back-offs", async () => {
  const family = new Family();
  const { clock } = family.test;
  family.supervise({
    intensity: 100,
    backoff: { first_ms: 100, max_ms: 1000, factor: 2, jitter: 0 },
    children: [family.child("a")],
  });
  for (const delay_ms of [100, 200]) {
    await family.send("a", "crash");
    await clock.advance(delay_ms - 1);
    expect(family.running()).toEqual([]);
    await clock.advance(1);
    expect(family.running()).toEqual(["a"]);
  }
  await clock.advance(6000);
  await family.send("a", "crash");
  await clock.advance(100);
  expect(family.running()).toEqual(["a"]);
});

test("a restart that fails counts and is tried again, until there were too many", async () => {
  const family = new Family();
  const { clock } = family.test;
  family.supervise({
    intensity: 3,
    period_ms: 10_000,
    backoff: { ...defaultBackoff, jitter: 0 },
    children: [family.child("a"), family.child("b")],
  });
  family.failing.add("a");
  await family.send("a", "crash");
  await clock.advance(300);
  expect(family.running()).toEqual(["b"]);
  family.failing.delete("a");
  await clock.advance(400);
  expect(family.running()).toEqual(["a", "b"]);
  await family.send("a", "crash");
  await clock.advance(5000);
  expect(family.system.lookup("/sup")).toBeUndefined();
  expect(family.contexts()).toEqual([
    "child_terminated a",
    "start_error a",
    "start_error a",
    "child_terminated a",
    "shutdown a",
  ]);
});

test("significant children end their supervisor as auto_shutdown says", async () => {
  for (const [auto_shutdown, after_one] of [
    ["any_significant", []],
    ["all_significant", ["b", "c"]],
  ] as const) {
    const family = new Family();
    const children = [
      family.child("a", { restart: "transient", significant: true }),
      family.child("b", { restart: "temporary", significant: true }),
      family.child("c"),
    ];
    const ref = family.supervise({ auto_shutdown, children });
    const ends: unknown[] = [];
    family.system.onDown(ref, (reason) => ends.push(reason));
    await family.send("a", "finish");
    expect(family.running()).toEqual([...after_one]);
    await family.send("b", "crash");
    expect(ends).toEqual([{ kind: "shutdown" }]);
    expect(family.system.tree()).toEqual([]);
  }
});

test("a dynamic supervisor starts on request and stops its children in parallel", async () => {
  const family = new Family();
  const { system, test } = family;
  const ref = family.supervise({ strategy: "dynamic", children: [] });
  const slow: Parts<Order> = {
    terminate: () => new Promise((done) => test.clock.after(50, done)),
  };
  for (const id of ["a", "b", "c"]) {
    const spec = family.child(id, {}, slow);
    const child = await system.ask(ref, { kind: "start_child", spec }, { deadline_ms: 10 });
    expect(child.address.path).toBe(`/sup/${id}`);
  }
  await family.send("b", "crash");
  await test.clock.advance(50);
  // A restarted child of a dynamic supervisor is its youngest.
  expect(family.running()).toEqual(["a", "c", "b"]);
  system.stop(ref);
  await test.clock.advance(49);
  expect(family.running()).toEqual(["a", "c", "b"]);
  await test.clock.advance(1);
  expect(system.tree()).toEqual([]);
});

test("children are started, stopped, restarted and forgotten on request", async () => {
  const family = new Family();
  const { system } = family;
  const ref = family.supervise({ children: [family.child("a")] });
  const ask = (message: SupervisorMessage): Promise<unknown> =>
    system.ask(ref, message, { deadline_ms: 10 }).catch((error: AskError) => error.code);
  const b = family.child("b");
  expect(await ask({ kind: "start_child", spec: b })).toBe(system.lookup("/sup/b"));
  expect(await ask({ kind: "start_child", spec: b })).toBe("refused");
  expect(await ask({ kind: "delete_child", id: "b" })).toBe("refused");
  expect(await ask({ kind: "terminate_child", id: "b" })).toBe(true);
  expect(await ask({ kind: "terminate_child", id: "b" })).toBe(true);
  expect(family.running()).toEqual(["a"]);
  expect(await ask({ kind: "restart_child", id: "b" })).toBe(system.lookup("/sup/b"));
  const before = system.lookup("/sup/b")?.address.incarnation;
  await ask({ kind: "restart_child", id: "b" });
  expect(system.lookup("/sup/b")?.address.incarnation).not.toBe(before);
  await ask({ kind: "terminate_child", id: "b" });
  expect(await ask({ kind: "delete_child", id: "b" })).toBe(true);
  expect(await ask({ kind: "restart_child", id: "b" })).toBe("refused");
  const list = await system.ask(ref, { kind: "which_children" }, { deadline_ms: 10 });
  expect(list.map(({ id, status }) => [id, status])).toEqual([["a", "running"]]);
  family.failing.add("c");
  expect(await ask({ kind: "start_child", spec: family.child("c") })).toBe("refused");
  expect(await ask({ kind: "start_child", spec: { ...b, id: "x/y" } })).toBe("refused");
  expect(family.running()).toEqual(["a"]);
  expect(system.crashReports().map(({ context }) => context)).toEqual(["start_error"]);
});

test("the inspector's restart does not count as a failure", async () => {
  const family = new Family();
  const { system } = family;
  family.supervise({ children: [family.child("a")] });
  for (let i = 0; i < 3; i++) {
    expect(system.control("/sup/a", "restart")).toBe(true);
    await system.idle();
  }
  expect(system.tree().find(({ path }) => path === "/sup/a")).toMatchObject({ restarts: 3 });
  expect(system.control("/sup", "restart")).toBe(false);
  expect(system.crashReports()).toEqual([]);
});

test("a brutal child has no say, an infinite one all the time it needs", async () => {
  const family = new Family();
  const { system, test } = family;
  const slow: Parts<Order> = {
    terminate: () =>
      new Promise((done) => {
        test.clock.after(60_000, () => {
          family.log.push("-slow");
          done();
        });
      }),
  };
  const ref = family.supervise({
    children: [
      family.child("slow", { shutdown_ms: "infinity" }, slow),
      family.child("brutal", { shutdown_ms: "brutal" }),
    ],
  });
  family.taken();
  system.stop(ref);
  await test.clock.advance(59_999);
  expect([family.taken(), family.running()]).toEqual(["", ["slow"]]);
  await test.clock.advance(1);
  expect(family.taken()).toBe("-slow");
  expect(system.tree()).toEqual([]);
  expect(family.contexts()).toEqual([]);
});

test("a stop during a start ends it", async () => {
  const family = new Family();
  const { system } = family;
  const never: Parts<Order> = { init: () => new Promise(() => {}) };
  const make = supervisor({ children: [family.child("a"), family.child("b", {}, never)] });
  const outcome = system.spawnReady(make, { name: "sup" }).catch(({ message }) => message);
  await system.idle();
  system.control("/sup", "stop");
  expect(await outcome).toBe("/sup did not start: shutdown");
  expect(family.taken()).toBe("+a -b -a");
});

test("specifications that contradict themselves are refused where they are written", () => {
  const start = actorOf<Order>({});
  const bad: [string, SupervisorSpec][] = [
    [
      "same id",
      {
        children: [
          { id: "a", start },
          { id: "a", start },
        ],
      },
    ],
    ["permanent child", { children: [{ id: "a", start, significant: true }] }],
    [
      "needs auto_shutdown",
      { children: [{ id: "a", start, significant: true, restart: "transient" }] },
    ],
    ["an id", { children: [{ id: "a/b", start }] }],
    ["shutdown_ms", { children: [{ id: "a", start, shutdown_ms: -1 }] }],
    ["intensity", { children: [], intensity: -1 }],
    ["period_ms", { children: [], period_ms: 0 }],
    ["jitter", { children: [], backoff: { ...defaultBackoff, jitter: 2 } }],
    ["back-off", { children: [], backoff: { ...defaultBackoff, max_ms: 1 } }],
  ];
  for (const [words, spec] of bad) {
    expect(() => supervisor(spec)).toThrow(BadSupervisorSpec);
    expect(() => supervisor(spec)).toThrow(words);
  }
});

describe("a crash loop", () => {
  const slow = { first_ms: 1_000, max_ms: 4_000, factor: 2, jitter: 0 };

  function looping(more: Partial<SupervisorSpec> = {}) {
    const family = new Family();
    const heard: string[] = [];
    const changed = ({ id, loops, reason }: LoopChange) =>
      void heard.push(`${id} ${loops} ${reason.kind}`);
    const ref = family.supervise({
      intensity: 2,
      period_ms: 2_000,
      crash_loop: { backoff: slow, changed },
      children: [family.child("a"), family.child("b")],
      ...more,
    });
    const row = () => family.system.tree().find(({ path }) => path === "/sup");
    const state = () => row()?.state;
    return { family, heard, ref, row, state, clock: family.test.clock };
  }

  test("past the intensity it tries on, slower each time, and siblings are left alone", async () => {
    const { family, heard, state, clock } = looping();
    for (let i = 0; i < 3; i++) await family.send("a", "crash");
    expect(heard).toEqual(["a true crash"]);
    expect(state()).toBe("crash_loop");
    for (const delay_ms of [1_000, 2_000, 4_000, 4_000]) {
      expect(family.running()).toEqual(["b"]);
      await clock.advance(delay_ms - 1);
      expect(family.running()).toEqual(["b"]);
      await clock.advance(1);
      expect(family.running()).toEqual(["a", "b"]);
      await family.send("a", "crash");
    }
    expect(heard.length).toBe(1);
    expect(family.system.snapshot("/sup")?.["children"]).toMatchObject([
      { id: "a", status: "backing_off", crash_loop: true },
      { id: "b", status: "running", crash_loop: false },
    ]);
  });

  test("while a child is away its branch says why", async () => {
    const { family, row, clock } = looping();
    for (let i = 0; i < 3; i++) await family.send("a", "crash");
    expect(row()?.last_crash).toBe("a is away: crash: Error: crash");
    family.failing.add("a");
    await clock.advance(1_000);
    expect(row()?.last_crash).toBe("a is away: crash: Error: a cannot start");
    family.failing.clear();
    await clock.advance(2_000);
    expect(family.running()).toEqual(["a", "b"]);
    expect(row()?.last_crash).toBeUndefined();
  });

  test("a long life ends it, and the next failures are young again", async () => {
    const { family, heard, state, clock } = looping();
    for (let i = 0; i < 3; i++) await family.send("a", "crash");
    await clock.advance(1_000);
    await clock.advance(3_999);
    expect(state()).toBe("crash_loop");
    await clock.advance(1);
    expect(state()).toBe("running");
    expect(heard).toEqual(["a true crash", "a false crash"]);
    await family.send("a", "crash");
    expect(family.running()).toEqual(["a", "b"]);
    // A death before that time has it go on where it was.
    for (let i = 0; i < 2; i++) await family.send("a", "crash");
    await clock.advance(1_000);
    await clock.advance(2_000);
    await family.send("a", "crash");
    await clock.advance(1_999);
    expect(family.running()).toEqual(["b"]);
    await clock.advance(1);
    expect(family.running()).toEqual(["a", "b"]);
    await clock.advance(3_000);
    expect(state()).toBe("crash_loop");
  });

  test("a person's restart tries at once; a stop, and the supervisor's end, end the loop", async () => {
    const { family, heard, ref, state } = looping();
    for (let i = 0; i < 3; i++) await family.send("a", "crash");
    family.system.control("/sup/a", "restart");
    await family.system.idle();
    expect(family.running()).toEqual(["a", "b"]);
    expect(state()).toBe("crash_loop");
    await family.system.ask(ref, { kind: "terminate_child", id: "a" }, { deadline_ms: 10 });
    expect(state()).toBe("running");
    expect(heard).toEqual(["a true crash", "a false crash"]);
    for (let i = 0; i < 3; i++) await family.send("b", "kill");
    family.system.stop(ref);
    await family.system.idle();
    expect(heard.slice(2)).toEqual(["b true killed", "b false killed"]);
  });

  test("with children that are only tried, a start that fails is one more failure", async () => {
    const family = new Family();
    family.failing.add("a");
    family.supervise({
      intensity: 2,
      period_ms: 2_000,
      crash_loop: { backoff: slow },
      first_start: "tried",
      children: [family.child("a"), family.child("b")],
    });
    await family.system.idle();
    expect(family.running()).toEqual(["b"]);
    expect(family.contexts()).toEqual(["start_error a", "start_error a", "start_error a"]);
    family.failing.clear();
    await family.test.clock.advance(1_000);
    expect(family.running()).toEqual(["a", "b"]);
  });
});
