/**
 * A registry keeps the same promises whether one actor knows all names or several machines share a
 * table: two members on two machines, who in the embedded world meet at one registry. A new one
 * joins by a line in `worlds`.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import type { Message } from "../../runtime/kernel/message.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { realRandom } from "../../runtime/real/random.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { RedisTable } from "../../runtime/registry/redis-table.ts";
import { Registry } from "../../runtime/registry/registry.ts";
import { type Held, RegistryClient } from "../../runtime/registry/registry-client.ts";
import { MemoryTable, type SharedTable } from "../../runtime/registry/registry-table.ts";
import { wellKnownRef } from "../../runtime/remote/wire.ts";
import { supervisor } from "../../runtime/supervision/supervisor.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { redisServer, stopServers } from "../support/plane-servers.ts";
import { Follower, Idle } from "../support/worlds/registry-actors.ts";
import { RemoteWorld, type WorldNode } from "../support/worlds/remote-world.ts";

type World = {
  readonly remote: RemoteWorld;
  /** Where a member of that machine finds its registry. */
  readonly hubOf: (machine: "a" | "b") => string;
  /** The registry of that machine crashes, and its supervisor starts another. */
  readonly crash: (machine: "a" | "b") => () => number;
  /** What keeps the names is lost, and comes back, with or without what it knew. */
  readonly lose: () => Promise<void>;
  readonly comeBack: (wiped: boolean) => Promise<void>;
  /** Virtual time, and real time where a server has its own. */
  readonly pass: (ms: number) => Promise<void>;
  readonly close: () => Promise<void>;
};

const lease_ms = 600;
/** For what happens "at once": a heartbeat of the renewal, or a lost bell. */
const soon_ms = 700;

const worlds: Record<string, () => Promise<World>> = {
  embedded: async () => {
    const remote = new RemoteWorld(1);
    let hub: WorldNode;
    const startHub = async () => {
      hub = await remote.node("hub", { suspect_after_ms: 3_000 });
      spawnRegistry(hub, () => new Registry());
    };
    await startHub();
    return {
      remote,
      crash: () => crashRegistry(hub),
      hubOf: () => "hub",
      lose: async () => {
        hub.net.kill();
        hub.remote.close();
      },
      comeBack: startHub,
      pass: (ms) => remote.pass(ms),
      close: async () => {},
    };
  },
  "a table in memory": async () => {
    const remote = new RemoteWorld(1);
    const table = new MemoryTable(remote.clock);
    const hubs = await startHubs(remote, () => table);
    return {
      remote,
      crash: (machine) => crashRegistry(hubs[machine]),
      hubOf: (machine) => `hub-${machine}`,
      lose: async () => {
        table.away = true;
      },
      comeBack: async (wiped) => {
        if (wiped) table.wipe();
        table.away = false;
      },
      pass: (ms) => remote.pass(ms),
      close: async () => {},
    };
  },
};

let clusters = 0;
if (isHere(lacksProgram("redis-server"), "a registry over a real redis-server")) {
  const server = await redisServer();
  worlds["a real redis-server"] = async () => {
    const remote = new RemoteWorld(1);
    const prefix = `troupe:test-${clusters++}`;
    const clients = ["a", "b"].map((name) =>
      redisClient({ url: server.url, client_name: name, env: {} }),
    );
    await Promise.all(clients.map((client) => client.ready(5_000)));
    const tables = clients.map((client) => new RedisTable(client, realRandom(), prefix));
    const hubs = await startHubs(remote, (index) => tables[index] as SharedTable);
    return {
      remote,
      crash: (machine) => crashRegistry(hubs[machine]),
      hubOf: (machine) => `hub-${machine}`,
      lose: async () => server.kill("SIGSTOP"),
      comeBack: async (wiped) => {
        if (wiped) {
          await server.stop();
          await server.start();
        } else server.kill("SIGCONT");
      },
      // The server's time is the real one, however busy the machine: ours follows it.
      pass: async (ms) => {
        const start_ms = performance.now();
        for (let passed_ms = 0; passed_ms < ms; ) {
          await Bun.sleep(10);
          const now_ms = performance.now() - start_ms;
          await remote.pass(now_ms - passed_ms);
          passed_ms = now_ms;
        }
      },
      close: async () => void (await Promise.all(clients.map((client) => client.close()))),
    };
  };
  afterAll(stopServers);
}

async function startHubs(remote: RemoteWorld, tableOf: (index: number) => SharedTable) {
  const start = async (index: number, machine: string) => {
    const hub = await remote.node(`hub-${machine}`, { suspect_after_ms: 3_000 });
    const shared = { table: tableOf(index), holder: `holder-${machine}`, lease_ms };
    spawnRegistry(hub, () => new Registry({ shared }));
    return hub;
  };
  return { a: await start(0, "a"), b: await start(1, "b") };
}

function spawnRegistry({ system }: WorldNode, start: () => Registry): void {
  const children = [{ id: "registry", start }];
  system.spawn(supervisor({ strategy: "one_for_one", intensity: 3, period_ms: 5_000, children }), {
    name: "top",
  });
}

/** Returns how often it crashed since. */
function crashRegistry({ system }: WorldNode): () => number {
  const before = system.crashReports().length;
  // What no codec would let pass: reading it throws.
  system.lookup(registryPath)?.tell({ kind: "register", key: "k", owner: {} } as Message);
  return () => system.crashReports().length - before;
}

const registryPath = "/top/registry";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const open: World[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

async function cluster(make: () => Promise<World>) {
  const world = await make();
  open.push(world);
  const member = async (machine: "a" | "b", namespace = "ns") => {
    const node = await world.remote.node(`${machine}-${namespace}-${members++}`);
    const hub = world.hubOf(machine);
    const registry = wellKnownRef(hub, registryPath, `memory:${hub}`);
    const client = node.system.spawn(() => new RegistryClient({ registry, namespace, lease_ms }), {
      name: "registry-client",
    });
    let owners = 0;
    return {
      node,
      client,
      owner: (): Ref => node.system.spawn(() => new Idle(), { name: `owner${owners++}` }) as Ref,
      hold: async (key: string, owner: Ref, value = key): Promise<Held> => {
        const message = { kind: "hold", key, value: bytes(value), owner } as const;
        const asked = node.system.ask(client, message, { deadline_ms: 60_000 });
        let held: Held | undefined;
        asked.then((answer) => {
          held = answer;
        });
        for (let i = 0; i < 300 && held === undefined; i++) await world.pass(20);
        if (held === undefined) throw new Error(`${key} was not held`);
        return held;
      },
      follow: (prefix: string): Follower => {
        const follower = new Follower();
        const ref = node.system.spawn(() => follower, { name: `follower${owners++}` });
        client.tell({ kind: "follow", prefix, follower: ref });
        return follower;
      },
    };
  };
  await world.pass(100);
  return { world, a: await member("a"), b: await member("b"), member };
}
let members = 0;

for (const [name, make] of Object.entries(worlds)) {
  describe(name, () => {
    test("a follower sees values, owners, epochs and every change of the other machine", async () => {
      const { world, a, b } = await cluster(make);
      const owner = a.owner();
      const first = await a.hold("workers/1", owner, "one");
      const follower = b.follow("workers/");
      await world.pass(soon_ms);
      expect(follower.keys).toEqual(["workers/1"]);
      const second = await a.hold("workers/2", a.owner(), "two");
      await a.hold("other/3", a.owner());
      await world.pass(soon_ms);
      const entries = follower.views.at(-1)?.entries ?? [];
      expect(entries.map(({ value }) => Buffer.from(value).toString())).toEqual(["one", "two"]);
      expect(entries.map(({ owner: its }) => its?.path)).toEqual(["/owner0", "/owner1"]);
      expect(entries.map(({ epoch }) => epoch)).toEqual([first.epoch, second.epoch]);
      expect(second.epoch).toBeGreaterThan(first.epoch);
      await a.hold("workers/1", owner, "new");
      a.client.tell({ kind: "drop", key: "workers/2" });
      await world.pass(soon_ms);
      expect(follower.keys).toEqual(["workers/1"]);
      expect(Buffer.from(follower.views.at(-1)?.entries[0]?.value ?? []).toString()).toBe("new");
      expect(follower.live).toBe(true);
    }, 30_000);

    test("leases are kept while their owner lives; its end is seen on the other machine", async () => {
      const { world, a, b } = await cluster(make);
      const owner = a.owner();
      await a.hold("workers/1", owner);
      await a.hold("workers/2", a.owner());
      const follower = b.follow("");
      await world.pass(lease_ms * 4);
      expect(follower.keys).toEqual(["workers/1", "workers/2"]);
      a.node.system.stop(owner);
      await world.pass(soon_ms);
      expect(follower.keys).toEqual(["workers/2"]);
      a.node.net.kill();
      await world.pass(soon_ms);
      expect(follower.keys).toEqual([]);
    }, 30_000);

    test("a key has one owner; the next gets it when that one ends, with a higher epoch", async () => {
      const { world, a, b } = await cluster(make);
      const owner = a.owner();
      const first = await a.hold("leader", owner);
      await world.pass(soon_ms);
      let second: Held | undefined;
      const next = b.hold("leader", b.owner()).then((held) => {
        second = held;
      });
      await world.pass(lease_ms * 2);
      expect(second).toBeUndefined();
      a.node.system.stop(owner);
      await next;
      expect((second as Held | undefined)?.epoch).toBeGreaterThan(first.epoch);
    }, 30_000);

    test("two who want a key in the same moment: one gets it, and both see whose it is", async () => {
      const { world, a, b } = await cluster(make);
      const got: string[] = [];
      for (const [who, member] of Object.entries({ a, b })) {
        const owner = member.owner();
        const message = { kind: "hold", key: "leader", value: bytes(who), owner } as const;
        const ask = member.node.system.ask(member.client, message, { deadline_ms: 60_000 });
        ask.then(() => got.push(who));
      }
      const followers = [a.follow(""), b.follow("")];
      await world.pass(soon_ms * 2);
      expect(got.length).toBe(1);
      for (const follower of followers) {
        const [entry] = follower.views.at(-1)?.entries ?? [];
        expect(Buffer.from(entry?.value ?? []).toString()).toBe(got[0] as string);
      }
    }, 30_000);

    test("namespaces are apart", async () => {
      const { world, member } = await cluster(make);
      const red = await member("a", "red");
      const blue = await member("b", "blue");
      await red.hold("k", red.owner(), "red value");
      await blue.hold("k", blue.owner(), "blue value");
      const follower = blue.follow("");
      await world.pass(soon_ms);
      const values = follower.views.at(-1)?.entries.map(({ value }) => `${Buffer.from(value)}`);
      expect(values).toEqual(["blue value"]);
    }, 30_000);

    for (const wiped of [false, true]) {
      const what = wiped ? "that forgot everything" : "for a while";
      test(`a loss ${what} leaves the last known set, says so, and heals by itself`, async () => {
        const { world, a, b } = await cluster(make);
        await a.hold("workers/1", a.owner());
        await b.hold("workers/2", b.owner());
        const follower = b.follow("workers/");
        await world.pass(soon_ms);
        expect(follower.live).toBe(true);
        await world.lose();
        await world.pass(lease_ms * 3 + 1_000);
        expect(follower.keys).toEqual(["workers/1", "workers/2"]);
        expect(follower.live).toBe(false);
        const seen = follower.views.length;
        await world.comeBack(wiped);
        await world.pass(lease_ms * 3);
        expect(follower.live).toBe(true);
        for (const { entries } of follower.views.slice(seen)) expect(entries.length).toBe(2);
        const late = a.follow("workers/");
        await world.pass(soon_ms);
        expect(late.keys).toEqual(["workers/1", "workers/2"]);
      }, 30_000);
    }

    test("a registry that crashes alone comes back to what it had; nobody sees names go", async () => {
      const { world, a, b } = await cluster(make);
      await a.hold("workers/1", a.owner());
      await a.hold("workers/2", a.owner());
      const follower = b.follow("workers/");
      await world.pass(soon_ms);
      const seen = follower.views.length;
      const crashes = world.crash("a");
      await world.pass(lease_ms * 3);
      expect(crashes()).toBe(1);
      for (const { entries } of follower.views.slice(seen)) expect(entries.length).toBe(2);
      const late = b.follow("workers/");
      await world.pass(soon_ms);
      expect(late.keys).toEqual(["workers/1", "workers/2"]);
    }, 30_000);

    test("who ended during a loss is dropped a lease after it", async () => {
      const { world, a, b } = await cluster(make);
      await a.hold("workers/1", a.owner());
      const follower = b.follow("workers/");
      await world.pass(soon_ms);
      await world.lose();
      a.node.net.kill();
      a.node.remote.close();
      await world.pass(2_500);
      expect(follower.keys).toEqual(["workers/1"]);
      await world.comeBack(true);
      await world.pass(lease_ms * 2 + soon_ms * 2);
      expect(follower.keys).toEqual([]);
    }, 30_000);
  });
}
