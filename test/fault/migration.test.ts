/** `kill -9` of workers under live answers: every client gets its whole answer, once. */
import { expect, test } from "bun:test";
import { type Cluster, pidsOf, startCluster } from "../support/cluster.ts";
import { type StreamedAnswer, streamAnswer } from "../support/streamed-answer.ts";

const slow = ["--engine", "mocker", "--workers", "3", "--speedup-ratio", "1"];

function requestOf(seed: number, max_tokens: number) {
  return { prompt: `Answer number ${seed}`, max_tokens, seed, ignore_eos: true };
}

async function answers(cluster: Cluster, count: number, max_tokens: number) {
  const seeds = Array.from({ length: count }, (_, seed) => seed);
  return Promise.all(seeds.map((seed) => streamAnswer(cluster.url, requestOf(seed, max_tokens))));
}

function expectSame(got: readonly StreamedAnswer[], undisturbed: readonly StreamedAnswer[]): void {
  for (const [i, answer] of got.entries()) {
    expect(answer.error).toBeUndefined();
    expect(answer.text).toBe(undisturbed[i]!.text);
    expect(answer.finish_reason).toBe("length");
  }
}

test("answers go on, byte for byte, when their worker is killed", async () => {
  await using cluster = await startCluster(slow);
  const undisturbed = await answers(cluster, 30, 96);
  const disturbed = answers(cluster, 30, 96);
  await Bun.sleep(250);
  const [pid = 0] = await pidsOf(cluster, "worker");
  process.kill(pid, "SIGKILL");
  expectSame(await disturbed, undisturbed);
}, 60_000);
