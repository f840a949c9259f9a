/**
 * What docs/api.md says of resuming, with plain curl: read, be cut off, ask again behind the last
 * whole event. What both wrote, joined, has the bytes of an answer that nobody disturbed.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { alive, type Cluster, pidsOf, startCluster, until } from "../support/cluster.ts";
import { describeWith, lacksProgram } from "../support/needs.ts";

const lack = lacksProgram("curl");

let cluster: Cluster;

beforeAll(async () => {
  if (lack !== undefined) return;
  const args = ["--engine", "mocker", "--speedup-ratio", "2", "--workers", "2", "--frontends", "2"];
  cluster = await startCluster(args);
}, 60_000);
afterAll(async () => cluster?.[Symbol.asyncDispose]());

const body = JSON.stringify({
  model: "troupe-tiny",
  messages: [{ role: "user", content: "Tell me a long story." }],
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: 300,
  ignore_eos: true,
  seed: 5,
});

/** A curl that writes what comes at once. */
function curl(...args: string[]) {
  const child = Bun.spawn(["curl", "-sN", "--max-time", "30", ...args], {
    stdout: "pipe",
    stderr: "inherit",
  });
  let bytes = Buffer.alloc(0);
  const read = (async () => {
    for await (const part of child.stdout) bytes = Buffer.concat([bytes, part]);
    return bytes;
  })();
  return { child, bytes: () => bytes, whole: read };
}

const ask = (...more: string[]) =>
  curl(
    `${cluster.url}/v1/chat/completions`,
    "-H",
    "content-type: application/json",
    ...more,
    "-d",
    body,
  );

const resume = (last_id: string) =>
  curl(`${cluster.url}/v1/streams/${last_id.split(":")[0]}`, "-H", `Last-Event-ID: ${last_id}`);

/** Up to the end of the last event that came whole; a client that was cut off keeps no more. */
function wholeEvents(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf("\n\n") + 2);
}

function lastIdOf(bytes: Buffer): string {
  return [...bytes.toString().matchAll(/^id: ?(.+)$/gm)].at(-1)?.[1] ?? "";
}

/** Of two requests these differ by nature: the request's own name, and when it came. */
function withoutName(bytes: Buffer): string {
  const id = lastIdOf(bytes).split(":")[0] ?? "";
  expect(id.length).toBeGreaterThan(20);
  const text = bytes.toString().replaceAll(id, "REQUEST");
  // The cursor says where the answer is made, which is another worker each time.
  return text.replace(/"created":\d+/g, '"created":0').replace(/^(id: ?REQUEST:).*$/gm, "$1");
}

async function joinedAfter(cut: (first: ReturnType<typeof ask>) => Promise<void>, more: string[]) {
  const first = ask(...more);
  await until("some of the answer", 10_000, () => first.bytes().length > 6_000);
  await cut(first);
  await first.child.exited;
  const head = wholeEvents(await first.whole);
  expect(head.toString()).not.toContain("[DONE]");
  const id = lastIdOf(head);
  let tail: Buffer = Buffer.alloc(0);
  await until("an answer of another frontend", 10_000, async () => {
    const second = resume(id);
    tail = await second.whole;
    return (await second.child.exited) === 0;
  });
  return { joined: Buffer.concat([head, tail]), head, tail, id };
}

describeWith(lack, "with curl", () => {
  test.each([
    [
      "the client is cut off",
      ["-H", "X-Resumable: true"],
      async (first: ReturnType<typeof ask>) => first.child.kill("SIGKILL"),
    ],
    [
      "its frontend dies",
      [],
      async () => {
        for (const pid of await frontendsWithStreams()) {
          process.kill(pid, "SIGKILL");
          await until("the frontend to be gone", 2_000, () => !alive(pid));
        }
      },
    ],
  ])(
    "%s: the bytes of both connections are those of an undisturbed answer",
    async (_, more, cut) => {
      const undisturbed = await ask().whole;
      expect(undisturbed.toString()).toEndWith("data: [DONE]\n\n");
      const { joined, head, tail, id } = await joinedAfter(cut, more);
      expect(head.length).toBeGreaterThan(5_000);
      expect(tail.length).toBeGreaterThan(5_000);
      expect(withoutName(joined)).toBe(withoutName(undisturbed));
      // Asked for from its start, it is the very same bytes, names and cursors too.
      const again = await curl(`${cluster.url}/v1/streams/${id.split(":")[0]}`).whole;
      expect(again.equals(joined)).toBe(true);
    },
    60_000,
  );
});

/** Pids of the frontends that have a live answer now. */
async function frontendsWithStreams(): Promise<number[]> {
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const live = [...text.matchAll(/^dynamo_frontend_inflight_requests\{(.*)\} ([1-9]\d*)$/gm)];
  const nodes = live.map(([, labels]) => /node="([^"]+)"/.exec(labels ?? "")?.[1]);
  const processes = (await (await fetch(`${cluster.inspector}/api/processes`)).json()) as {
    processes: { node: string; pid: number }[];
  };
  const pids = processes.processes.filter(({ node }) => nodes.includes(node)).map(({ pid }) => pid);
  expect(pids.length).toBe(1);
  expect(await pidsOf(cluster, "frontend")).toContain(pids[0] ?? 0);
  return pids;
}
