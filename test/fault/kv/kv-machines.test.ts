/**
 * Two machines, one of them a network namespace, that read each other's cached blocks; and a way
 * between their keepers that goes in the middle, while all else is heard.
 */
import { afterAll, expect, test } from "bun:test";
import { type Cluster, clusterCommand, startCluster, until } from "../../support/cluster.ts";
import { isHere, lacksProgram } from "../../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../../support/plane-servers.ts";
import { promptTokens } from "../../support/worlds/kv-prompts.ts";
import { addNamespace, lacksNamespaces, type Namespace } from "../wall/netns.ts";

const PROMPT_TOKENS = 600;
const BLOCKS = 9;
const CACHED = BLOCKS * 64;
/** Those of the prompt, and one that each worker makes at its start. */
const KEPT = BLOCKS + 1;
/** Of this machine, for blocks alone: a way of its own that can be cut. */
const BLOCKS_AT = "10.77.74.5";
const FAR_BLOCKS_AT = "10.77.74.6";
const LONG_TOKENS = 3_000;

type Neighbours = {
  readonly address: string;
  readonly members: number;
  readonly pulled_blocks: number;
  /** Connections on which blocks are read there. */
  readonly reading: number;
  /** Reads that ended, by how. */
  readonly pulls: Readonly<Record<string, number>>;
  /** Offers to the other: sent, and blocks of those to come. */
  readonly offers: number;
  readonly waiting_blocks: number;
  /** And of the other: taken, and those of them that are read now. */
  readonly taken_offers: number;
  readonly offers_read: number;
  /** Blocks that are kept here. */
  readonly registered: number;
};

type KeeperSnapshot = {
  readonly neighbours?: Omit<Neighbours, "registered">;
  readonly spaces: readonly { readonly registered: number }[];
};

type Answer = { readonly text: string; readonly cached: number };

async function answer(cluster: Cluster, prompt: readonly number[]): Promise<Answer> {
  const body = { model: "troupe-tiny", prompt, max_tokens: 16, temperature: 0, seed: 1 };
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${said}`);
  const { choices, usage } = JSON.parse(said);
  return {
    text: choices[0].text,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** Of the keepers of both machines. */
async function keepers(cluster: Cluster): Promise<readonly Neighbours[]> {
  const response = await fetch(`${cluster.inspector}/api/tree`);
  const { nodes } = (await response.json()) as { nodes: { id: string; path: string }[] };
  const ids = nodes.map(({ id }) => id).filter((id) => id.endsWith("/kv/keeper"));
  const all = ids.map(async (id) => {
    const path = `/api/actors/${encodeURIComponent(id)}/snapshot`;
    const said = await fetch(cluster.inspector + path);
    const { snapshot } = (await said.json()) as { snapshot?: KeeperSnapshot };
    if (snapshot?.neighbours === undefined) return undefined;
    const registered = snapshot.spaces.reduce((sum, space) => sum + space.registered, 0);
    return { ...snapshot.neighbours, registered };
  });
  return (await Promise.all(all)).filter((each) => each !== undefined);
}

/** One machine keeps the whole prompt, and each has what it owns: no offer is under way. */
async function settled(cluster: Cluster): Promise<boolean> {
  const both = await keepers(cluster);
  const sum = (of: (each: Neighbours) => number) => both.reduce((all, each) => all + of(each), 0);
  return (
    both.some(({ registered }) => registered >= KEPT) &&
    sum(({ waiting_blocks, offers_read }) => waiting_blocks + offers_read) === 0 &&
    sum(({ offers, taken_offers }) => offers - taken_offers) === 0
  );
}

async function inside(there: Namespace, ...command: string[]): Promise<void> {
  const done = there.spawn(command);
  if ((await done.exited) !== 0) throw new Error(`${command.join(" ")}: ${done.said()}`);
}

/** Another cluster's part on this machine, without a door. */
async function startPart(args: readonly string[]): Promise<AsyncDisposable> {
  const child = Bun.spawn([...clusterCommand(), ...quiet, ...args], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  });
  let said = "";
  void (async () => {
    for await (const bytes of child.stdout) said += new TextDecoder().decode(bytes);
  })();
  await until("a part of the cluster", 60_000, () => /^ready /m.test(said));
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
    },
  };
}

const quiet = ["--inspector-port", "0", "--log-level", "warn"];

/** @param near the parts on this machine, the first of them with a door @param far the other's */
async function twoMachines(
  near: readonly (readonly string[])[],
  far: readonly string[],
  far_faults = "",
) {
  const there = await addNamespace("troupe-blocks", 74);
  const host = there.host_address;
  run("ip", "addr", "add", `${BLOCKS_AT}/32`, "dev", "tp74a");
  run("ip", "route", "add", FAR_BLOCKS_AT, "dev", "tp74a");
  await inside(there, "ip", "addr", "add", `${FAR_BLOCKS_AT}/32`, "dev", "tp74b");
  const [nats, redis] = await Promise.all([
    natsServer([], host),
    redisServer(["--protected-mode", "no"], host),
  ]);
  const common = ["--nats", nats.url, "--redis", redis.url];
  const [door = [], ...others] = near.map((args) => [...common, ...args]);
  const cluster = await startCluster(door);
  const parts = await Promise.all(others.map(startPart));
  const child = there.spawn([...clusterCommand(), ...common, ...quiet, ...far], {
    TMPDIR: "/tmp",
    ...(far_faults === "" ? {} : { TROUPE_FAULTS: far_faults }),
  });
  await until("the far machine", 60_000, () => /^ready /m.test(child.said()));
  await until("keepers that know each other", 20_000, async () => {
    const known = await keepers(cluster);
    return known.length === 2 && known.every(({ members, address }) => members === 2 && address);
  });
  return {
    ...{ cluster, there },
    [Symbol.asyncDispose]: async () => {
      child.kill();
      for (const part of parts) await part[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
      await child.exited;
      // Connections that were cut keep the namespace for minutes, and the link with it.
      run("ip", "link", "del", "tp74a");
      await there[Symbol.asyncDispose]();
      await stopServers();
    },
  };
}

function run(...command: string[]): void {
  const { success, stderr } = Bun.spawnSync(command);
  if (!success) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}

const lack = lacksProgram("ip", "nats-server", "redis-server") ?? lacksNamespaces();
if (isHere(lack, "blocks between machines")) {
  afterAll(stopServers);

  test("what one machine has computed, the other reads", async () => {
    const keeps = ["--kv-host-bytes", "64MB", "--kv-peers", "eager"];
    await using machines = await twoMachines(
      [[...keeps, "--kv-address", BLOCKS_AT, "--router-mode", "round-robin"]],
      ["--role", "worker", ...keeps],
    );
    const { cluster, there } = machines;
    const addresses = (await keepers(cluster)).map(({ address }) => address).toSorted();
    // The far one's as NATS sees it.
    expect(addresses[0]).toStartWith(`tcp:${there.address}:`);
    expect(addresses[1]).toStartWith(`tcp:${BLOCKS_AT}:`);
    const prompt = promptTokens(PROMPT_TOKENS, 1);
    const cold = await answer(cluster, prompt);
    expect(cold.cached).toBe(0);
    await until("each block at its owner", 20_000, () => settled(cluster));
    expect(await answer(cluster, prompt)).toEqual({ text: cold.text, cached: CACHED });
    // It had its own blocks by offers, and has asked for the others.
    await until("all blocks of the prompt at the other machine", 5_000, async () => {
      return (await keepers(cluster)).some(({ pulled_blocks }) => pulled_blocks >= BLOCKS);
    });
    // Behind a cut the block's owner is not asked for long, and the prompt is computed.
    await inside(there, "ip", "route", "add", "blackhole", `${BLOCKS_AT}/32`);
    const other = promptTokens(PROMPT_TOKENS, 2);
    const whole = await Promise.all([1, 2, 3, 4].map(() => answer(cluster, other)));
    expect(new Set(whole.map(({ text }) => text)).size).toBe(1);
  }, 120_000);

  test("a prompt is computed on one machine and answered on the other, whatever is cut", async () => {
    // About two seconds for the prompt below.
    const keeps = ["--kv-host-bytes", "64MB", "--engine", "mocker", "--speedup-ratio", "0.1"];
    await using machines = await twoMachines(
      [
        ["--role", "frontend"],
        [...keeps, "--role", "decode"],
      ],
      [...keeps, "--role", "prefill", "--kv-address", FAR_BLOCKS_AT],
      JSON.stringify({ rules: [{ point: "net.send", match: "tcp:", do: "corrupt", nth: 12 }] }),
    );
    const { cluster, there } = machines;
    const blocks = async () => {
      const [near, far] = await keepers(cluster);
      return Math.max(near?.pulled_blocks ?? 0, far?.pulled_blocks ?? 0);
    };
    const pulls = async () => (await keepers(cluster)).reduce((sum, each) => sum + each.reading, 0);
    // Some bytes on the way are turned: no block of that read is used from there on.
    const noisy = promptTokens(LONG_TOKENS, 2);
    const turned = await answer(cluster, noisy);
    const ends = (await keepers(cluster)).flatMap(({ pulls }) => Object.keys(pulls));
    expect(ends.filter((end) => end === "corrupt" || end === "misread")).toHaveLength(1);
    const before = await blocks();
    const row = Math.floor((LONG_TOKENS - 1) / 64);
    expect(before).toBeLessThan(row);
    const first = promptTokens(LONG_TOKENS, 3);
    const whole = await answer(cluster, first);
    expect(await blocks()).toBe(before + row);
    // The way between the keepers goes while blocks are on it.
    const second = answer(cluster, promptTokens(LONG_TOKENS, 4));
    await until("blocks on their way", 10_000, async () => (await pulls()) > 0);
    await inside(there, "ip", "addr", "del", `${FAR_BLOCKS_AT}/32`, "dev", "tp74b");
    const cut = await second;
    expect(cut.text.length).toBeGreaterThan(0);
    await until("an end of the read", 20_000, async () => (await pulls()) === 0);
    // The same prompt again, undisturbed: its text is what it was.
    expect((await answer(cluster, promptTokens(LONG_TOKENS, 4))).text).toBe(cut.text);
    expect((await answer(cluster, first)).text).toBe(whole.text);
    expect((await answer(cluster, noisy)).text).toBe(turned.text);
  }, 120_000);

  test("llama's blocks of another machine say what a single machine says", async () => {
    const prompt = promptTokens(PROMPT_TOKENS, 5);
    const alone = await startCluster([]);
    const { text } = await answer(alone, prompt);
    await alone[Symbol.asyncDispose]();
    const keeps = ["--kv-host-bytes", "64MB"];
    await using machines = await twoMachines(
      [
        ["--role", "frontend", "--router-conditional-disagg", "off"],
        [...keeps, "--role", "decode"],
      ],
      [...keeps, "--role", "prefill"],
    );
    const { cluster } = machines;
    expect((await answer(cluster, prompt)).text).toBe(text);
    await until("its blocks at the machine that answers", 10_000, async () => {
      return (await keepers(cluster)).some(({ pulled_blocks }) => pulled_blocks === BLOCKS);
    });
  }, 120_000);
}
