import { expect, test } from "bun:test";
import { Simulation } from "../../runtime/simulation.ts";
import {
  AnswerCluster,
  answerRequest,
  RecordingSink,
  startRecorded,
} from "../support/answer-cluster.ts";
import { answerBytes } from "../support/fake-engine.ts";

test("an answer comes whole, in order, with its usage", async () => {
  const simulation = new Simulation(1);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const sink = new RecordingSink();
  startRecorded(cluster, answerRequest("r1", { max_tokens: 12, ignore_eos: true }), sink);
  await simulation.run(1_000);
  const bytes = answerBytes([1, 2, 3], 0, 12);
  expect(sink.failures).toEqual([]);
  expect(sink.text()).toBe(new TextDecoder().decode(bytes));
  expect(sink.tokens()).toEqual([...bytes]);
  expect(sink.ends).toEqual([{ choice: 0, reason: "length" }]);
  expect(sink.usages).toEqual([{ prompt_tokens: 3, completion_tokens: 12, cached_tokens: 2 }]);
  await cluster.close();
});
