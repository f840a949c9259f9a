/** Names with leases: the registry actor and its clients, over nodes, in virtual time. */
import { describe, expect, test } from "bun:test";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { Registry } from "../../../runtime/registry/registry.ts";
import { type Held, RegistryClient } from "../../../runtime/registry/registry-client.ts";
import { MemoryTable } from "../../../runtime/registry/registry-table.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { wellKnownRef } from "../../../runtime/remote/wire.ts";
import { Follower, Idle } from "../../support/worlds/registry-actors.ts";
import { RemoteWorld, type WorldNode } from "../../support/worlds/remote-world.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

class Cluster {
  readonly world: RemoteWorld;
  hub!: WorldNode;

  constructor(seed = 1) {
    this.world = new RemoteWorld(seed);
  }

  async startHub(): Promise<void> {
    this.hub = await this.world.node("hub", { suspect_after_ms: 3_000 });
    this.hub.system.spawn(() => new Registry(), { name: "registry" });
  }

  async member(name: string, namespace = "ns") {
    const node = await this.world.node(name, { suspect_after_ms: 3_000 });
    const registry = wellKnownRef("hub", "/registry", "memory:hub");
    const client = node.system.spawn(() => new RegistryClient({ registry, namespace }), {
      name: "registry-client",
    });
    let owners = 0;
    return {
      node,
      client,
      owner: (): Ref => node.system.spawn(() => new Idle(), { name: `owner${owners++}` }) as Ref,
      hold: (key: string, owner: Ref, value = key): Promise<Held> =>
        node.system.ask(
          client,
          { kind: "hold", key, value: bytes(value), owner },
          { deadline_ms: 60_000 },
        ),
      follow: (prefix: string): Follower => {
        const follower = new Follower();
        const ref = node.system.spawn(() => follower, { name: `follower${owners++}` });
        client.tell({ kind: "follow", prefix, follower: ref });
        return follower;
      },
    };
  }
}

async function cluster(): Promise<Cluster> {
  const made = new Cluster();
  await made.startHub();
  return made;
}

describe("the registry", () => {
  test("shows a follower what is there and every change, values and epochs with it", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const b = await c.member("b");
    const first = (await c.world.outcome(a.hold("workers/1", a.owner(), "one"))) as Held;
    const follower = b.follow("workers/");
    await c.world.pass(50);
    expect(follower.keys).toEqual(["workers/1"]);
    const second = (await c.world.outcome(a.hold("workers/2", a.owner(), "two"))) as Held;
    await c.world.outcome(a.hold("other/3", a.owner()));
    await c.world.pass(50);
    expect(follower.keys).toEqual(["workers/1", "workers/2"]);
    const entries = follower.views.at(-1)?.entries ?? [];
    expect(entries.map(({ value }) => Buffer.from(value).toString())).toEqual(["one", "two"]);
    expect(entries.map(({ owner }) => owner?.path)).toEqual(["/owner0", "/owner1"]);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    a.client.tell({ kind: "drop", key: "workers/1" });
    await c.world.pass(50);
    expect(follower.keys).toEqual(["workers/2"]);
    expect(follower.views.at(-1)?.live).toBe(true);
  });

  test("keeps leases alive for hours, and removes an owner's keys at once when it ends", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const b = await c.member("b");
    const owner = a.owner();
    await c.world.outcome(a.hold("workers/1", owner));
    const follower = b.follow("");
    await c.world.pass(3_600_000);
    expect(follower.keys).toEqual(["workers/1"]);
    a.node.system.stop(owner);
    await c.world.pass(20);
    expect(follower.keys).toEqual([]);
  });

  test("removes the keys of a node that died at once", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const b = await c.member("b");
    const d = await c.member("d");
    await c.world.outcome(a.hold("a", a.owner()));
    await c.world.outcome(b.hold("b", b.owner()));
    const follower = d.follow("");
    await c.world.pass(100);
    expect(follower.keys).toEqual(["a", "b"]);
    a.node.net.kill();
    await c.world.pass(20);
    expect(follower.keys).toEqual(["b"]);
    expect(follower.views.at(-1)?.live).toBe(true);
  });

  test("lets a lease run out when its owner stops renewing", async () => {
    const c = await cluster();
    const owner = c.hub.system.spawn(() => new Idle(), { name: "silent" });
    const wire = wireOf(c.hub.system, owner);
    const registry = c.hub.system.lookup("/registry") as Ref<Message>;
    const register = {
      kind: "register",
      key: "k",
      value: bytes("v"),
      owner: wire,
      lease_ms: 1_000,
    };
    registry.tell(register);
    await c.world.pass(900);
    expect(c.hub.system.snapshot("/registry")?.["keys"]).toEqual(["k"]);
    await c.world.pass(400);
    expect(c.hub.system.snapshot("/registry")?.["keys"]).toEqual([]);
  });

  test("gives a key to one owner; the next gets it when that one ends, with a higher epoch", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const b = await c.member("b");
    const owner = a.owner();
    const first = (await c.world.outcome(a.hold("leader", owner))) as Held;
    let second: Held | undefined;
    b.hold("leader", b.owner()).then((held) => {
      second = held;
    });
    await c.world.pass(5_000);
    expect(second).toBeUndefined();
    a.node.system.stop(owner);
    await c.world.pass(5_000);
    expect(second?.epoch).toBeGreaterThan(first.epoch);
  });

  test("keeps namespaces apart", async () => {
    const c = await cluster();
    const a = await c.member("a", "red");
    const b = await c.member("b", "blue");
    await c.world.outcome(a.hold("k", a.owner(), "red value"));
    await c.world.outcome(b.hold("k", b.owner(), "blue value"));
    const follower = b.follow("");
    await c.world.pass(50);
    const values = follower.views.at(-1)?.entries.map(({ value }) => Buffer.from(value).toString());
    expect(values).toEqual(["blue value"]);
  });

  test("updates a value in place, under the same epoch", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const owner = a.owner();
    const first = await c.world.outcome(a.hold("k", owner, "old"));
    const follower = a.follow("");
    const second = await c.world.outcome(a.hold("k", owner, "new"));
    await c.world.pass(50);
    expect(second).toEqual(first);
    const [entry] = follower.views.at(-1)?.entries ?? [];
    expect(Buffer.from(entry?.value ?? []).toString()).toBe("new");
  });
});

describe("loss of the registry", () => {
  test("leaves the last known set; all is registered again when it is back", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const b = await c.member("b");
    await c.world.outcome(a.hold("workers/1", a.owner()));
    await c.world.outcome(b.hold("workers/2", b.owner()));
    const follower = b.follow("workers/");
    await c.world.pass(100);
    c.hub.net.kill();
    c.hub.remote.close();
    await c.world.pass(60_000);
    expect(follower.keys).toEqual(["workers/1", "workers/2"]);
    expect(follower.views.at(-1)?.live).toBe(false);
    const seen = follower.views.length;
    await c.startHub();
    await c.world.pass(5_000);
    expect(follower.views.at(-1)?.live).toBe(true);
    // At no moment did the empty new registry make it look as if nobody was there.
    for (const { entries } of follower.views.slice(seen)) expect(entries.length).toBe(2);
    const keys = c.hub.system.snapshot("/registry")?.["keys"];
    expect(keys).toEqual(["ns/workers/1", "ns/workers/2"]);
  });

  test("and of a member meanwhile: it is dropped one lease after the registry is back", async () => {
    const c = await cluster();
    const a = await c.member("a");
    const b = await c.member("b");
    await c.world.outcome(a.hold("workers/1", a.owner()));
    const follower = b.follow("workers/");
    await c.world.pass(100);
    c.hub.net.kill();
    c.hub.remote.close();
    a.node.net.kill();
    a.node.remote.close();
    await c.world.pass(1_000);
    await c.startHub();
    await c.world.pass(5_000);
    expect(follower.keys).toEqual(["workers/1"]);
    await c.world.pass(12_000);
    expect(follower.keys).toEqual([]);
  });

  test("a registry actor that crashes alone is found again under its name", async () => {
    const c = await cluster();
    const a = await c.member("a");
    await c.world.outcome(a.hold("k", a.owner()));
    c.hub.system.control("/registry", "kill");
    await c.world.pass(100);
    c.hub.system.spawn(() => new Registry(), { name: "registry" });
    await c.world.pass(5_000);
    expect(c.hub.system.snapshot("/registry")?.["keys"]).toEqual(["ns/k"]);
  });
});

test("a name that is given back while a shared table is asked for it is nobody's", async () => {
  const world = new RemoteWorld(1);
  const hub = await world.node("hub", { suspect_after_ms: 3_000 });
  const shared = { table: new MemoryTable(world.clock), holder: "hub" };
  const registry = hub.system.spawn(() => new Registry({ shared }), { name: "registry" });
  const owner = wireOf(hub.system, hub.system.spawn(() => new Idle(), { name: "owner" }) as Ref);
  await world.pass(2_000);
  const register = { kind: "register", key: "k", value: bytes("v"), owner, lease_ms: 0 } as const;
  const deregister = { kind: "deregister", key: "k", owner } as const;
  const ask = () => hub.system.ask(registry, register, { deadline_ms: 10_000 });
  const keys = () => hub.system.snapshot("/registry")?.["keys"];

  // The table answers later than this turn, in which the owner takes its wish back.
  const withdrawn = ask();
  registry.tell(deregister);
  await world.pass(2_000);
  expect(await withdrawn).toMatchObject({ held: false });
  expect(keys()).toEqual([]);
  const other = { holder: "other", lease_ms: 10_000, full: true, drop: [], since: "" };
  const put = [{ key: "k", epoch: 1, bytes: bytes("x") }];
  const answer = await shared.table.exchange({ ...other, put });
  expect(answer).toMatchObject({ kind: "exchanged", epochs: [expect.any(Number)] });
  await shared.table.leave("other");
  await world.pass(2_000);

  const first = ask();
  registry.tell(deregister);
  const again = ask();
  await world.pass(2_000);
  expect(await first).toMatchObject({ held: false });
  expect(await again).toMatchObject({ held: true });
  expect(keys()).toEqual(["k"]);
});
