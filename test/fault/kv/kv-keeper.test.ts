/** The keeper of blocks is killed, and stopped, while requests run: none of them fails. */
import { expect, test } from "bun:test";
import { alive, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { complete, promptTokens } from "../../support/worlds/kv-prompts.ts";

const CLIENTS = 4;
const PREFIXES = Array.from({ length: 6 }, (_, i) => promptTokens(400, i));

test("kill -9 and SIGSTOP of the keeper cost no request", async () => {
  await using cluster = await startCluster([
    ...["--kv-host-bytes", "16MB", "--workers", "2", "--router-mode", "round-robin"],
  ]);
  let going = true;
  let answered = 0;
  let failed: unknown;
  const slowest: number[] = [];
  const ask = async (client: number) => {
    for (let i = 0; going && failed === undefined; i++) {
      const prefix = PREFIXES[(client + i) % PREFIXES.length]!;
      const begun_ms = performance.now();
      await complete(cluster, [...prefix, ...promptTokens(20, 1_000 * client + i)]);
      slowest.push(performance.now() - begun_ms);
      answered += 1;
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, client) =>
    ask(client).catch((error: unknown) => {
      failed ??= error;
    }),
  );
  const more = (count: number) => {
    const wanted = answered + count;
    return until(`${count} more answers`, 30_000, () => {
      if (failed !== undefined) throw failed;
      return answered >= wanted;
    });
  };
  await more(20);
  for (let round = 0; round < 3; round++) {
    const [pid] = await pidsOf(cluster, "kv");
    process.kill(pid!, "SIGKILL");
    await more(10);
    await until("another keeper", 20_000, async () => {
      const [next] = await pidsOf(cluster, "kv");
      return next !== undefined && next !== pid;
    });
    await more(10);
  }
  const [pid] = await pidsOf(cluster, "kv");
  process.kill(pid!, "SIGSTOP");
  await more(20);
  // One that is silent for long is killed, and another one is in its place.
  if (alive(pid!)) process.kill(pid!, "SIGCONT");
  await more(20);
  going = false;
  await Promise.all(clients);
  expect(failed).toBeUndefined();
  console.info(`${answered} answers, the slowest took ${Math.max(...slowest).toFixed(0)} ms`);
  expect(answered).toBeGreaterThanOrEqual(120);
}, 120_000);
