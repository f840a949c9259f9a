/** A change of roles in this cluster, asked by a planner that may have asked for it before. */
import { expect, test } from "bun:test";
import { LocalConnector } from "../../../../actors/planner/connect/local.ts";
import type { ChangeRole, Pool, PoolMessage, WorkerRole } from "../../../../proto/index.ts";
import { Actor } from "../../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../../runtime/kernel/ref.ts";
import { testSystem } from "../../../support/worlds/test-system.ts";

const DRAIN_MS = 20_000;
const change = { change: "c", epoch: 1, model: "m" };

class PoolOf extends Actor<PoolMessage> {
  readonly #names: () => readonly string[];

  constructor(names: () => readonly string[]) {
    super();
    this.#names = names;
  }

  override receive(): void {
    const of = { process: "p", model: "m", role: "decode", added: false, change: "" } as const;
    const workers = this.#names().map((worker) => {
      return { worker, state: "starting", state_ms: 0, ...of };
    });
    const rest = { epoch: 1, models: ["m"], asked: 0, cores: 1, up_ms: 1, pairs: true };
    this.ctx.reply({ kind: "pool", machine: "here", workers, ...rest } satisfies Pool);
  }
}

class Obedient extends Actor<ChangeRole> {
  readonly #why: string;
  roles: WorkerRole[] = [];

  constructor(why = "") {
    super();
    this.#why = why;
  }

  override receive({ role }: ChangeRole): void {
    this.roles.push(role);
    this.ctx.reply({ kind: "role_changed", role, why: this.#why });
  }
}

function world(names: string[]) {
  const { system, clock } = testSystem();
  const workers = new Map<string, Ref<ChangeRole>>();
  const pool = system.spawn(() => new PoolOf(() => names), { name: "pool" }) as Ref<PoolMessage>;
  const connector = new LocalConnector(system, {
    pools: () => [pool],
    worker: (name) => workers.get(name),
    roleOf: () => undefined,
    ...{ start_ms: 10_000, drain_ms: DRAIN_MS },
  });
  const serves = (name: string, actor = new Obedient()) => {
    workers.set(name, system.spawn(() => actor, { name }) as Ref<ChangeRole>);
    return actor;
  };
  return { system, clock, connector, serves };
}

test("a worker that drains already is waited for, and asked when it serves", async () => {
  const { system, clock, connector, serves } = world(["a", "b"]);
  const b = serves("b");
  const changed = connector.changeRole(change, ["a", "b"], "prefill");
  await clock.advance(5_000);
  expect(b.roles).toEqual(["prefill"]);
  const a = serves("a");
  await clock.advance(1_000);
  expect(await changed).toEqual({ kind: "added", workers: ["a", "b"] });
  expect(a.roles).toEqual(["prefill"]);
  await system.shutdown();
});

test("a worker that is gone, or never serves, ends the change with the reason", async () => {
  const names = ["a"];
  const { system, clock, connector, serves } = world(names);
  serves("c", new Obedient("it is being drained for its end"));
  const changed = connector.changeRole(change, ["a", "b", "c"], "prefill");
  await clock.advance(10_000);
  names.pop();
  await clock.advance(1_000);
  expect(await changed).toEqual({
    ...{ kind: "failed", workers: [] },
    why: "a: no machine has a worker a; b: no machine has a worker b; c: it is being drained for its end",
  });
  names.push("a");
  const never = connector.changeRole(change, ["a"], "prefill");
  await clock.advance(DRAIN_MS + 60_000);
  expect(await never).toMatchObject({ kind: "failed", why: "a: it was not done in time" });
  await system.shutdown();
});
