/** What is not plain chat: stored responses, Anthropic's messages, and answers held to a form. */
import { saidByBody } from "../../../support/answer-events.ts";
import type { Row } from "../row.ts";
import { midway, type Running, somePid, underFault } from "../scenario.ts";

const kill = async (running: Running, role: string) => {
  process.kill(await somePid(running, role), "SIGKILL");
  return {};
};

/** Each response is in the store as its client had it. */
async function storedAlike({ cluster, flock }: Running): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { response, choices } of flock.ledgers.values()) {
    const answer = await fetch(`${cluster.url}/v1/responses/${response}`);
    const body = await answer.text();
    const said = answer.status === 200 ? saidByBody("/v1/responses", body) : [];
    const whole = said.find(({ kind }) => kind === "whole");
    if (whole?.kind === "whole" && whole.text === choices[0]?.text) continue;
    problems.push(`${response} is stored as ${answer.status} ${body.slice(0, 200)}`);
  }
  return problems.slice(0, 3);
}

export const apiRows: readonly Row[] = [
  {
    name: "responses",
    what: "kill -9 one of 2 frontends under streams of /v1/responses, resumed by `starting_after`",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--frontends", "2"],
        flock: { api: "responses", tokens: 192, requests: 64, concurrency: 64 },
        fault: async (running) => {
          await midway(running, 30);
          return kill(running, "frontend");
        },
        after: storedAlike,
      }),
  },
  {
    name: "messages",
    what: "kill -9 a worker in the middle of answers of /v1/messages",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { api: "messages", tokens: 192 },
        fault: async (running) => {
          await midway(running, 60, 0.5);
          return kill(running, "worker");
        },
      }),
  },
  {
    name: "constrained",
    what: "kill -9 a worker in the middle of JSON answers that are held to a schema",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { json: true, tokens: 1_500 },
        fault: async (running) => {
          await midway(running, 60, 0.5);
          return kill(running, "worker");
        },
      }),
  },
];
