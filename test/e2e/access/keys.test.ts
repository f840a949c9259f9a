/** Keys with rules, two frontends and the official client: limits, models, the file read again. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { NotFoundError, RateLimitError } from "openai";
import { type Cluster, runCluster, startCluster, tree, until } from "../../support/cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-keys-"));
const file = join(folder, "keys.yaml");
const data = join(folder, "data");
const flags = ["--engine", "mocker", "--frontends", "2", "--speedup-ratio", "0"];
const keys = ["--api-key-file", file, "--data-dir", data];

/** As an editor or a secret's mount writes it: another file in its place. */
function writeKeys(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const RULES = `keys:
  - { name: few, key: sk-few, requests_per_minute: 4 }
  - { name: quick, key: sk-quick, requests_per_minute: 120 }
  - { name: daily, key: sk-daily, tokens_per_day: 100 }
  - { name: other, key: sk-other, models: [qwen-*] }
  - { name: own, key: sk-own, models: [troupe-*] }
`;

let cluster: Cluster;
beforeAll(async () => {
  writeKeys(RULES);
  cluster = await startCluster([...flags, ...keys]);
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const clientOf = (apiKey: string, maxRetries = 0) =>
  new OpenAI({
    ...{ baseURL: `${cluster.url}/v1`, apiKey, maxRetries },
    // Each request is a new connection, which either of the frontends may get.
    defaultHeaders: { Connection: "close" },
  });
const request = {
  model: "troupe-tiny",
  messages: [{ role: "user" as const, content: "Hi" }],
  max_tokens: 4,
};
const ask = (client: OpenAI) => client.chat.completions.create(request);
const errorOf = (promise: Promise<unknown>): Promise<RateLimitError> =>
  promise.then(
    () => expect.unreachable("it should have been refused"),
    (error) => error,
  );

test("the frontends count together, and the client is told", async () => {
  const client = clientOf("sk-few");
  const left: (string | null)[] = [];
  for (let i = 0; i < 4; i++) {
    const { response } = await client.chat.completions.create(request).withResponse();
    expect(response.headers.get("x-ratelimit-limit-requests")).toBe("4");
    left.push(response.headers.get("x-ratelimit-remaining-requests"));
  }
  expect(left).toEqual(["3", "2", "1", "0"]);
  const error = await errorOf(ask(client));
  expect(error).toBeInstanceOf(RateLimitError);
  expect(error.code).toBe("rate_limit_exceeded");
  expect(Number(error.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(error.headers.get("x-ratelimit-reset-requests")).toMatch(/^\d+(\.\d+)?s$/);
  // A stream is refused in the same way, before its head.
  const stream = client.chat.completions.create({ ...request, stream: true });
  expect((await errorOf(stream)).status).toBe(429);
  const page = await (await fetch(`${cluster.url}/metrics`)).text();
  expect(page).toMatch(/troupe_key_requests_total\{[^}]*key="few",result="requests"\} [12]/);
});

test("the client's own retry comes through", async () => {
  const client = clientOf("sk-quick");
  const first = await Promise.allSettled(Array.from({ length: 150 }, () => ask(client)));
  expect(first.some(({ status }) => status === "rejected")).toBeTrue();
  const { choices } = await ask(clientOf("sk-quick", 5));
  expect(choices[0]?.finish_reason).toBe("length");
}, 20_000);

test("a model of others is not there", async () => {
  const other = clientOf("sk-other");
  expect((await other.models.list()).data).toEqual([]);
  const error = await errorOf(ask(other));
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error.code).toBe("model_not_found");
  expect(await errorOf(other.models.retrieve("troupe-tiny"))).toBeInstanceOf(NotFoundError);
  expect((await clientOf("sk-own").models.list()).data).toHaveLength(1);
  expect((await ask(clientOf("sk-own"))).choices).toHaveLength(1);
});

test("a day's budget ends, also after everything was killed", async () => {
  const client = clientOf("sk-daily");
  let used = 0;
  let refused: RateLimitError | undefined;
  while (refused === undefined) {
    await ask(client).then(
      ({ usage }) => {
        used += usage?.total_tokens ?? 0;
      },
      (error) => {
        refused = error;
      },
    );
  }
  expect(refused.code).toBe("insufficient_quota");
  expect(refused.headers.get("x-should-retry")).toBe("false");
  expect(used).toBeLessThanOrEqual(100);
  expect(used).toBeGreaterThan(50);
  // Once a second it is stored.
  await until("the budget's record", 5_000, async () => {
    const { Database } = await import("bun:sqlite");
    using database = new Database(join(data, "records.sqlite"), { readonly: true });
    const rows = database.query("SELECT CAST(value AS TEXT) AS value FROM records").all();
    return JSON.stringify(rows).includes(`daily\\":${used}`);
  });
  cluster.kill("SIGKILL");
  await cluster.exited;
  cluster = await startCluster([...flags, ...keys]);
  expect((await errorOf(ask(clientOf("sk-daily")))).code).toBe("insufficient_quota");
}, 30_000);

test("the file is read again; one that is not right leaves the keys", async () => {
  const works = async (key: string) => {
    // Both frontends have to have read it.
    const tries = Array.from({ length: 8 }, () => clientOf(key).models.list());
    const tried = await Promise.allSettled(tries);
    return tried.filter(({ status }) => status === "fulfilled").length;
  };
  writeKeys(`${RULES}  - { name: new, key: sk-new, colour: red }\n`);
  await until("the complaint", 5_000, () => /keys\.yaml:7: unknown field/.test(cluster.log()));
  expect([await works("sk-new"), await works("sk-own")]).toEqual([0, 8]);
  writeKeys(`${RULES.replace("sk-own", "sk-next")}  - { name: new, key: sk-new }\n`);
  await until("the new key", 5_000, async () => (await works("sk-new")) === 8);
  await until("the old key's end", 5_000, async () => (await works("sk-own")) === 0);
}, 20_000);

test("the limits go on when the actor that counts them is killed", async () => {
  const kill = `${cluster.inspector}/api/actors/root%2Fcluster%2Flimits/kill`;
  expect((await fetch(kill, { method: "POST" })).status).toBe(200);
  await until("its next life", 10_000, async () => {
    const found = (await tree(cluster)).find(({ path }) => path.endsWith("/cluster/limits"));
    return found?.restarts === 1 && found.state === "running";
  });
  expect((await errorOf(ask(clientOf("sk-daily")))).code).toBe("insufficient_quota");
  const { response } = await clientOf("sk-few").chat.completions.create(request).withResponse();
  // The minute is forgotten.
  expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("3");
}, 15_000);

test("a file with a typo stops the start", async () => {
  const wrong = join(folder, "wrong.yaml");
  writeFileSync(wrong, "keys:\n  - name: a\n    key: k\n    tokens_per_minit: 4\n");
  const { code, stderr } = await runCluster(["--api-key-file", wrong, "--port", "0"]);
  expect(code).toBe(2);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toContain("wrong.yaml:4: unknown field");
}, 20_000);
