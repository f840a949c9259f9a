/** `cache_salt`: prefixes in the cache are shared only with requests of the same salt. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Cluster, startCluster } from "../../support/cluster.ts";

let mocker: Cluster;
let echo: Cluster;
beforeAll(async () => {
  const args = ["--workers", "2", "--block-size", "16", "--speedup-ratio", "0"];
  [mocker, echo] = await Promise.all([
    startCluster(["--engine", "mocker", ...args]),
    startCluster(["--engine", "echo"]),
  ]);
}, 60_000);
afterAll(() => Promise.all([mocker, echo].map((each) => each[Symbol.asyncDispose]())));

const prompt =
  "A lobster dances in the sea and sings of the moon, and all the others listen. ".repeat(8);

async function post(path: string, body: object, { url }: Cluster = mocker) {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "troupe-tiny", max_tokens: 2, ...body }),
  });
  const answered = (await response.json()) as {
    readonly usage: { readonly prompt_tokens_details?: { readonly cached_tokens: number } };
    readonly error: { readonly code: string; readonly param: string };
  };
  return { status: response.status, body: answered };
}
const completion = (more: object) => post("/v1/completions", { prompt, ...more });
const cachedOf = async (more: object): Promise<number> =>
  (await completion(more)).body.usage.prompt_tokens_details?.cached_tokens ?? 0;

test("a prefix is found again under its salt alone, wherever the request says it", async () => {
  expect(await cachedOf({})).toBe(0);
  const all = await cachedOf({});
  expect(all).toBeGreaterThan(60);
  expect(await cachedOf({ cache_salt: "ours" })).toBe(0);
  expect(await cachedOf({ nvext: { cache_salt: "ours" } })).toBe(all);
  expect(await cachedOf({ cache_salt: "theirs", nvext: { cache_salt: "ours" } })).toBe(0);
  expect(await cachedOf({})).toBe(all);
});

test("what is no salt, or goes to an engine that shares all, is a 400 that names the field", async () => {
  for (const cache_salt of ["", "x".repeat(257), 7]) {
    const { status, body } = await completion({ cache_salt });
    expect([status, body.error.param]).toEqual([400, "cache_salt"]);
  }
  const messages = [{ role: "user", content: "hi" }];
  for (const [more, param] of [
    [{ cache_salt: "a" }, "cache_salt"],
    [{ nvext: { cache_salt: "a" } }, "nvext.cache_salt"],
  ] as const) {
    const { status, body } = await post("/v1/chat/completions", { messages, ...more }, echo);
    expect([status, body.error.code, body.error.param]).toEqual([400, "not_supported", param]);
  }
  const ids = { token_ids: [5, 6, 7], cache_salt: "a", sampling_params: { max_tokens: 1 } };
  expect((await post("/inference/v1/generate", { ...ids, max_tokens: undefined })).status).toBe(
    200,
  );
  const refused = await post("/inference/v1/generate", { ...ids, max_tokens: undefined }, echo);
  expect([refused.status, refused.body.error.param]).toEqual([400, "cache_salt"]);
});
