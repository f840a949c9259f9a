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
const CACHED = 9 * 64;
/** Of this machine, for blocks alone: a way of its own that can be cut. */
const BLOCKS_AT = "10.77.74.5";

type Neighbours = {
  readonly address: string;
  readonly members: number;
  readonly sent_blocks: number;
  readonly pulled_blocks: number;
  readonly pulls: Readonly<Record<string, number>>;
};

type Answer = { readonly text: string; readonly cached: number };

async function answer(cluster: Cluster, prompt: readonly number[]): Promise<Answer> {
  const body = { model: "troupe-tiny", prompt, max_tokens: 16, temperature: 0 };
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

/** Of the keepers of both machines, the near one first. */
async function keepers(cluster: Cluster): Promise<readonly Neighbours[]> {
  const response = await fetch(`${cluster.inspector}/api/tree`);
  const { nodes } = (await response.json()) as { nodes: { id: string; path: string }[] };
  const ids = nodes.map(({ id }) => id).filter((id) => id.endsWith("/kv/keeper"));
  const all = ids.map(async (id) => {
    const path = `/api/actors/${encodeURIComponent(id)}/snapshot`;
    const said = await fetch(cluster.inspector + path);
    return ((await said.json()) as { snapshot?: { neighbours?: Neighbours } }).snapshot?.neighbours;
  });
  const known = (await Promise.all(all)).filter((each) => each !== undefined);
  return known.toSorted(
    (a, b) => Number(b.address.includes(BLOCKS_AT)) - Number(a.address.includes(BLOCKS_AT)),
  );
}

async function inside(there: Namespace, ...command: string[]): Promise<void> {
  const done = there.spawn(command);
  if ((await done.exited) !== 0) throw new Error(`${command.join(" ")}: ${done.said()}`);
}

async function twoMachines(near_args: readonly string[], far_args: readonly string[]) {
  const there = await addNamespace("troupe-blocks", 74);
  const host = there.host_address;
  const added = Bun.spawnSync(["ip", "addr", "add", `${BLOCKS_AT}/32`, "dev", "tp74a"]);
  if (!added.success) throw new Error(added.stderr.toString());
  const [nats, redis] = await Promise.all([
    natsServer([], host),
    redisServer(["--protected-mode", "no"], host),
  ]);
  const common = ["--nats", nats.url, "--redis", redis.url, "--kv-host-bytes", "64MB"];
  const near = await startCluster([
    ...[...common, "--machine-name", "near", "--kv-address", BLOCKS_AT],
    ...near_args,
  ]);
  const quiet = ["--inspector-port", "0", "--log-level", "warn"];
  const far = there.spawn(
    [...clusterCommand(), ...common, "--machine-name", "far", ...quiet, ...far_args],
    { TMPDIR: "/tmp" },
  );
  await until("the far machine", 60_000, () => /^ready /m.test(far.said()));
  await until("keepers that know each other", 20_000, async () => {
    const known = await keepers(near);
    return known.length === 2 && known.every(({ members, address }) => members === 2 && address);
  });
  return {
    near,
    there,
    far,
    [Symbol.asyncDispose]: async () => {
      far.kill();
      await near[Symbol.asyncDispose]();
      await far.exited;
      await there[Symbol.asyncDispose]();
      await stopServers();
    },
  };
}

const lack = lacksProgram("ip", "nats-server", "redis-server") ?? lacksNamespaces();
if (isHere(lack, "blocks between machines")) {
  afterAll(stopServers);

  test("what one machine has computed, the other reads", async () => {
    const shared = ["--kv-peers", "eager", "--router-mode", "round-robin"];
    await using machines = await twoMachines(shared, ["--role", "worker", "--kv-peers", "eager"]);
    const { near, there } = machines;
    const [here, away] = (await keepers(near)) as [Neighbours, Neighbours];
    expect(here.address).toStartWith(`tcp:${BLOCKS_AT}:`);
    // As NATS sees it.
    expect(away.address).toStartWith(`tcp:${there.address}:`);
    const prompt = promptTokens(PROMPT_TOKENS, 1);
    const cold = await answer(near, prompt);
    expect(cold.cached).toBe(0);
    await until("each block at its owner", 20_000, async () => {
      const moved = (await keepers(near)).map(({ pulled_blocks }) => pulled_blocks);
      return moved.some((blocks) => blocks > 0);
    });
    expect(await answer(near, prompt)).toEqual({ text: cold.text, cached: CACHED });
    // It had its own blocks by offers, and has asked for the others.
    await until("all blocks of the prompt at the other machine", 5_000, async () => {
      return (await keepers(near)).some(({ pulled_blocks }) => pulled_blocks >= 9);
    });
    // Behind a cut the block's owner is not asked for long, and the prompt is computed.
    await inside(there, "ip", "route", "add", "blackhole", `${BLOCKS_AT}/32`);
    const other = promptTokens(PROMPT_TOKENS, 2);
    const begun_ms = performance.now();
    const whole = await Promise.all([1, 2, 3, 4].map(() => answer(near, other)));
    expect(new Set(whole.map(({ text }) => text)).size).toBe(1);
    expect(performance.now() - begun_ms).toBeLessThan(20_000);
  }, 120_000);
}
