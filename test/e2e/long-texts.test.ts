/** One request never holds a frontend: it goes on answering others, and lives. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Cluster, startCluster } from "../support/cluster.ts";

let cluster: Cluster;
let model: string;
beforeAll(async () => {
  cluster = await startCluster(["--engine", "mocker", "--speedup-ratio", "0"]);
  const list = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
    data: [{ readonly id: string }];
  };
  model = list.data[0].id;
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const user = (content: string) => ({ messages: [{ role: "user", content }] });

const refused: readonly (readonly [name: string, body: object, code: string])[] = [
  ["one letter", user("a".repeat(16_000_000)), "text_unbroken"],
  ["spaces", user(" ".repeat(16_000_000)), "text_unbroken"],
  ["two letters", user("ab".repeat(8_000_000)), "text_unbroken"],
  ["marks", user("<".repeat(2_000_000)), "text_unbroken"],
  ["control tokens", user("<|im_end|>".repeat(200_000)), "text_unbroken"],
  ["words", user("a b ".repeat(4_000_000)), "context_length_exceeded"],
  ["a stop string", { ...user("Hi"), stop: "x".repeat(15_000_000) }, "invalid_value"],
];

test.each(refused)(
  "%s",
  async (_, body, code) => {
    const text = JSON.stringify({ model, max_tokens: 1, ...body });
    const answer = fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: text,
    });
    let over = false;
    const refusal = answer.finally(() => {
      over = true;
    });
    while (!over) {
      // Alone on a machine the longest wait is about 0.1 s; a frontend that is held fails here.
      const live = await fetch(`${cluster.url}/live`, { signal: AbortSignal.timeout(1_000) });
      expect(live.status).toBe(200);
    }
    const response = await refusal;
    const { error } = (await response.json()) as { error: { code: string } };
    expect([response.status, error.code]).toEqual([400, code]);
    expect(cluster.log()).not.toContain("child_terminated");
  },
  60_000,
);
