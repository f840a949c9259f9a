/** LoRA adapters as models of a frontend, and who may change them. */
import { expect, test } from "bun:test";
import { ModelDirectory } from "../../../../actors/frontend/frontend.ts";
import { modelJson } from "../../../../actors/frontend/models/info-bodies.ts";
import { fakeModel, fakeRecord } from "../../../support/worlds/frontend-fakes.ts";
import { startDoor } from "../../../support/worlds/frontend-server.ts";

const record = (worker: string, ...adapters: string[]) => ({
  ...fakeRecord({}, worker),
  adapters: { items: adapters.map((name) => ({ name, source: `/${name}.gguf` })) },
});

function directory() {
  const models = new ModelDirectory((card) => fakeModel(card));
  const names = () => models.adapters().map(({ name }) => name);
  return { models, names };
}

test("an adapter is a model of its own name as long as some worker has it", () => {
  const { models, names } = directory();
  models.workerJoined(record("w1", "a"));
  models.workerJoined(record("w2", "a", "b"));
  expect(names()).toEqual(["a", "b"]);
  expect(models.ready().map(({ name }) => name)).toEqual(["toy"]);
  expect(models.get("a")).toMatchObject({ name: "a", adapter: "a", card: { name: "toy" } });
  expect([models.state("a"), models.state("c")]).toEqual(["ready", "unknown"]);
  expect([models.workers("a"), models.workers("b")]).toEqual([2, 1]);
  expect(modelJson(models.get("b")!)).toMatchObject({ id: "b", root: "/b.gguf", parent: "toy" });
  models.workerJoined(record("w2", "a"));
  expect(names()).toEqual(["a"]);
  expect(models.get("b")).toBeUndefined();
});

test("adapters outlive the restart of their only worker, until it says otherwise", () => {
  const { models, names } = directory();
  models.workerJoined(record("w1", "a"));
  models.workerLeft("w1");
  expect([names(), models.workers("a")]).toEqual([["a"], 0]);
  models.workerJoined(record("w1", "a"));
  expect(models.workers("a")).toBe(1);
  models.workerJoined(record("w1"));
  expect(names()).toEqual([]);
});

test("answers are asked of the model, with the adapter beside it", async () => {
  const { models } = directory();
  models.workerJoined(record("w1", "a"));
  await using door = await startDoor({}, undefined, models);
  const asked = { prompt: "hi", max_tokens: 2 };
  const [own, adapted] = await Promise.all([
    door.post("/v1/completions", { ...asked, model: "toy" }),
    door.post("/v1/completions", { ...asked, model: "a" }),
  ]);
  expect(await own!.json()).toMatchObject({ model: "toy" });
  expect(await adapted!.json()).toMatchObject({ model: "a" });
  const sent = door.answers.live.map(({ request: { model, adapter } }) => [model, adapter]);
  expect(sent.sort()).toEqual([
    ["toy", undefined],
    ["toy", "a"],
  ]);
});

test("a server that listens beyond its machine refuses changes unless it is told to take them", async () => {
  await using door = await startDoor({ lora_updates: false });
  for (const path of ["/v1/load_lora_adapter", "/v1/unload_lora_adapter"]) {
    const response = await door.post(path, { lora_name: "a" });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: "lora_updates_off" } });
  }
});
