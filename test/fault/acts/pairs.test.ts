/** Workers that compute prompts and workers that answer come and go, adapters with them. */
import { expect, test } from "bun:test";
import { startCluster, until } from "../../support/cluster.ts";

test("pairs are replaced one by one under load, and new ones have the adapters", async () => {
  const pairs = ["--prefill", "1", "--decode", "1", "--kv-host-bytes", "64MB"];
  const flags = ["--engine", "mocker", "--model-name", "m", "--speedup-ratio", "4"];
  await using cluster = await startCluster([...flags, ...pairs, "--lora", "style=any"]);
  const ends: string[] = [];
  let going = true;
  const prompt = "a prompt that is long enough to be handed over ".repeat(12);
  const ask = async (model: string, text: string) => {
    const response = await fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, prompt: text, max_tokens: 40, stream: true }),
    });
    const body = await response.text();
    const whole = response.status === 200 && body.trimEnd().endsWith("data: [DONE]");
    ends.push(whole && !body.includes('"error":') ? "whole" : `${response.status} ${body}`);
  };
  const clients = Array.from({ length: 6 }, async (_, client) => {
    for (let i = 0; going; i++) await ask(client % 2 ? "m" : "style", `${client} ${i} ${prompt}`);
  });
  await until("the first answers", 20_000, () => ends.length >= 6);
  const post = async (body: object) => {
    const init = { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`${cluster.inspector}/api/workers`, init);
    return ((await response.json()) as { workers?: string[] }).workers;
  };
  const retire = async (worker: string) => {
    const init = { method: "DELETE" };
    return (await fetch(`${cluster.inspector}/api/workers/${worker}`, init)).status;
  };
  expect(await post({ role: "prefill" })).toEqual(["prefill-1"]);
  expect(await post({})).toEqual(["decode-1"]);
  expect(await retire("decode-0")).toBe(200);
  expect(await retire("prefill-0")).toBe(200);
  const then = ends.length;
  await until("answers of those that are left", 20_000, () => ends.length >= then + 12);
  going = false;
  await Promise.all(clients);
  expect(ends.filter((end) => end !== "whole")).toEqual([]);
  const ready = await (await fetch(`${cluster.url}/v1/models/m/ready`)).text();
  expect(ready).not.toContain("decode-0");
  const config = await (await fetch(`${cluster.inspector}/api/config`)).text();
  expect(config).toContain("prefill: 1\ndecode: 1\n");
}, 90_000);
