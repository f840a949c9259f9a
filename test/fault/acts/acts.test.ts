/** What a person does to a real cluster over the inspector: who may, and that nothing is lost. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alive, type Cluster, pidOfWorker, startCluster, until } from "../../support/cluster.ts";

type Answer = { readonly status: number; readonly body: Record<string, unknown> };

async function asked(
  cluster: Cluster,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(cluster.inspector + path, {
    ...{ method, headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return { status: response.status, body: isJson ? JSON.parse(text) : { text } };
}

type ActRow = {
  readonly id: string;
  readonly who: string;
  readonly what: string;
  readonly target: string;
  readonly done: boolean;
  readonly error?: string;
  readonly undo: { method: string; path: string; body: object | null } | null;
  readonly undone_by?: string;
};
const actsOf = async (cluster: Cluster) =>
  (await asked(cluster, "GET", "/api/acts")).body["acts"] as readonly ActRow[];

const placeOf = (worker: string) => encodeURIComponent(`root/cluster/workers/${worker}/process`);

async function answering(cluster: Cluster): Promise<string[]> {
  const { body } = await asked(cluster, "GET", "/api/workers");
  const [machine] = body["machines"] as readonly { workers: readonly { worker: string }[] }[];
  return machine?.workers.map(({ worker }) => worker) ?? [];
}

/** One streamed answer; the text is what its tokens make. */
async function stream(url: string, prompt: string, tokens: number): Promise<string> {
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", prompt, max_tokens: tokens, stream: true, seed: 1 }),
  });
  if (response.status !== 200) return `${response.status}`;
  const body = await response.text();
  return body.includes('"error":') || !body.trimEnd().endsWith("data: [DONE]") ? body : "whole";
}

const mocker = ["--engine", "mocker", "--model-name", "m", "--speedup-ratio", "4"];

test("two workers are added and retired under load, and no answer is lost", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2"]);
  const ends: string[] = [];
  let going = true;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let i = 0; going; i++) ends.push(await stream(cluster.url, `client ${client} ${i}`, 60));
  });
  await until("the first answers", 20_000, () => ends.length >= 8);
  const added = await asked(cluster, "POST", "/api/workers", { count: 2 });
  expect(added).toMatchObject({ status: 200, body: { workers: ["worker-2", "worker-3"] } });
  const pids = [await pidOfWorker(cluster, "worker-2"), await pidOfWorker(cluster, "worker-3")];
  const before = ends.length;
  await until("answers of four workers", 20_000, () => ends.length >= before + 24);
  expect(await answering(cluster)).toEqual(["worker-0", "worker-1", "worker-2", "worker-3"]);
  const ready = await fetch(`${cluster.url}/v1/models/m/ready`);
  expect(ready.status).toBe(200);
  expect(await asked(cluster, "DELETE", "/api/workers/worker-2")).toMatchObject({
    ...{ status: 200, body: { workers: [{ worker: "worker-2" }] } },
  });
  expect(await asked(cluster, "DELETE", "/api/workers", { workers: ["worker-3"] })).toMatchObject({
    ...{ status: 200, body: { workers: [{ worker: "worker-3" }] } },
  });
  expect(pids.map(alive)).toEqual([false, false]);
  const then = ends.length;
  await until("answers of the two that stay", 20_000, () => ends.length >= then + 16);
  going = false;
  await Promise.all(clients);
  expect(ends.filter((end) => end !== "whole")).toEqual([]);
  expect(await answering(cluster)).toEqual(["worker-0", "worker-1"]);
  const metrics = await (await fetch(`${cluster.inspector}/metrics`)).text();
  expect(metrics).not.toContain("worker-2");
  const acts = await actsOf(cluster);
  expect(acts.map(({ what, target, done }) => [what, target, done])).toEqual([
    ["retire", "worker-3", true],
    ["retire", "worker-2", true],
    ["add 2 workers", "", true],
  ]);
}, 120_000);

test("what was done can be taken back, once, and the settings of the present are a file", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "1"]);
  const add = await asked(cluster, "POST", "/api/workers", {});
  expect(add.body["workers"]).toEqual(["worker-1"]);
  const id = `${add.body["act"]}`;
  expect((await asked(cluster, "POST", `/api/acts/${id}/undo`)).status).toBe(200);
  expect(await answering(cluster)).toEqual(["worker-0"]);
  const again = await asked(cluster, "POST", `/api/acts/${id}/undo`);
  expect(again).toMatchObject({ status: 409, body: { error: "act 1 was taken back by act 2" } });
  // The retired one comes back under a name of its own.
  await asked(cluster, "POST", "/api/acts/2/undo");
  expect(await answering(cluster)).toEqual(["worker-0", "worker-2"]);
  expect((await asked(cluster, "POST", "/api/acts/99/undo")).status).toBe(409);

  const router = encodeURIComponent("frontend-0/frontend/router");
  await asked(cluster, "POST", `/api/actors/${router}/suspend`);
  const [suspended] = await actsOf(cluster);
  expect(suspended?.undo?.path).toBe(`/api/actors/${router}/resume`);
  expect((await asked(cluster, "POST", `/api/acts/${suspended?.id}/undo`)).status).toBe(200);
  expect(await stream(cluster.url, "after it goes on", 3)).toBe("whole");

  const before = await asked(cluster, "GET", "/api/router");
  expect(before.body).toMatchObject({ mode: "kv", policy: "adaptive" });
  const set = { weights: { crowd_weight: 2.5, temperature: 0.25 } };
  const put = await asked(cluster, "PUT", "/api/router", set);
  expect(put).toMatchObject({ status: 200, body: { ...set, routers: { told: 1, silent: 0 } } });
  const wrong = await asked(cluster, "PUT", "/api/router", { weights: { crowd: 1 } });
  expect(wrong.status).toBe(409);
  expect(wrong.body["error"]).toContain('no weight "crowd"');

  const { body } = await asked(cluster, "GET", "/api/config");
  const folder = mkdtempSync(join(tmpdir(), "troupe-acts-"));
  try {
    const file = join(folder, "now.yaml");
    writeFileSync(file, `${body["text"]}`);
    await using same = await startCluster(["--config", file]);
    expect(await answering(same)).toEqual(["worker-0", "worker-1"]);
    expect((await asked(same, "GET", "/api/router")).body["weights"]).toMatchObject(set.weights);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const undone = await asked(cluster, "POST", `/api/acts/${put.body["act"]}/undo`);
  expect(undone.body["weights"]).toEqual(before.body["weights"]);
}, 120_000);

test("a process is frozen and goes on, and one that is killed is started again", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2"]);
  const pid = await pidOfWorker(cluster, "worker-1");
  const body = { fault: "freeze", seconds: 0.3 };
  const frozen = await asked(cluster, "POST", `/api/actors/${placeOf("worker-1")}/fault`, body);
  expect(frozen).toMatchObject({ status: 200, body: { pid, done: true } });
  await Bun.sleep(1_000);
  expect(await pidOfWorker(cluster, "worker-1")).toBe(pid);
  const answers = Array.from({ length: 4 }, (_, i) => stream(cluster.url, `beside ${i}`, 200));
  const kill = { fault: "kill9" };
  const killed = await asked(cluster, "POST", `/api/actors/${placeOf("worker-1")}/fault`, kill);
  expect(killed.status).toBe(200);
  expect(await Promise.all(answers)).toEqual(["whole", "whole", "whole", "whole"]);
  await until("another process", 20_000, async () => {
    const now = await pidOfWorker(cluster, "worker-1").catch(() => pid);
    return now !== pid && now > 0;
  });
  const wrong = async (place: string, fault: object) =>
    (await asked(cluster, "POST", `/api/actors/${place}/fault`, fault)).status;
  expect(await wrong(placeOf("worker-1"), { fault: "freeze", seconds: 600 })).toBe(400);
  expect(await wrong(placeOf("worker-1"), { fault: "melt" })).toBe(400);
  expect(await wrong(encodeURIComponent("root/cluster/registry"), kill)).toBe(404);
  expect(await wrong(placeOf("worker-9"), kill)).toBe(404);
}, 60_000);

test("a worker that is not ready in its time is given up, and the others serve", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "1"]);
  const hasty = await asked(cluster, "POST", "/api/workers", { count: 2, ready_s: 0.02 });
  expect(hasty).toMatchObject({ status: 503, body: { workers: [] } });
  expect(hasty.body["error"]).toContain("it was not ready within 20 ms");
  expect(await answering(cluster)).toEqual(["worker-0"]);
  const none = await asked(cluster, "POST", "/api/workers", { model: "other" });
  expect(none.status).toBe(409);
  expect(none.body["error"]).toContain('no model "other"');
  expect((await asked(cluster, "POST", "/api/workers", { count: 0 })).status).toBe(400);
  expect((await asked(cluster, "POST", "/api/workers", { cuont: 1 })).status).toBe(400);
  expect((await asked(cluster, "DELETE", "/api/workers/worker-7")).status).toBe(404);
  const prefill = await asked(cluster, "POST", "/api/workers", { role: "prefill" });
  expect(prefill.status).toBe(409);
  expect(prefill.body["error"]).toContain("--kv-host-bytes");
  const [last] = await actsOf(cluster);
  expect(last).toMatchObject({ done: false, error: prefill.body["error"], undo: null });
  expect(await stream(cluster.url, "still here", 3)).toBe("whole");
}, 60_000);

test("without the token nobody acts, and where it only shows nobody does at all", async () => {
  const token = "a-token-of-this-test";
  {
    await using cluster = await startCluster([...mocker], {
      env: { TROUPE_INSPECTOR_TOKEN: token },
    });
    const routes: readonly (readonly [string, string])[] = [
      ["POST", "/api/workers"],
      ["DELETE", "/api/workers/worker-0"],
      ["PUT", "/api/router"],
      ["POST", "/api/acts/1/undo"],
      ["POST", `/api/actors/${placeOf("worker-0")}/kill`],
      ["POST", `/api/actors/${placeOf("worker-0")}/fault`],
    ];
    for (const [method, path] of routes) {
      for (const given of [undefined, "wrong", `${token}x`, token.slice(1)]) {
        const headers: Record<string, string> = given ? { authorization: `Bearer ${given}` } : {};
        const { status, body } = await asked(cluster, method, path, undefined, headers);
        expect([method, path, given, status]).toEqual([method, path, given, 401]);
        expect(body["error"]).toContain("Authorization: Bearer TOKEN");
      }
    }
    expect(await actsOf(cluster)).toEqual([]);
    const headers = { authorization: `Bearer ${token}` };
    expect((await asked(cluster, "POST", "/api/workers", {}, headers)).status).toBe(200);
    const { body } = await asked(cluster, "GET", "/api/config");
    expect(`${body["text"]}`).not.toContain(token);
  }
  await using shows = await startCluster([...mocker, "--inspector-read-only"]);
  const refused = await asked(shows, "POST", "/api/workers", {});
  expect(refused.status).toBe(403);
  expect(refused.body["error"]).toContain("--inspector-read-only");
  expect((await asked(shows, "GET", "/api/tree")).status).toBe(200);
}, 60_000);

test("a cluster whose inspector others reach draws a token, and prints it", async () => {
  await using cluster = await startCluster([...mocker, "--inspector-host", "0.0.0.0"]);
  const inspector = cluster.inspector.replace("0.0.0.0", "127.0.0.1");
  const post = (headers: Record<string, string>) =>
    fetch(`${inspector}/api/workers`, { method: "POST", headers }).then(({ status }) => status);
  expect(await post({})).toBe(401);
  const found = () => /gives the token (\w{32})/.exec(cluster.log())?.[1];
  await until("the line of the token", 5_000, () => found() !== undefined);
  expect(await post({ authorization: `Bearer ${found()}` })).toBe(200);
}, 60_000);
