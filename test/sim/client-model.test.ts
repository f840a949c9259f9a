/** The simulator's client sees what is wrong: a scripted server does each wrong thing once. */
import { expect, test } from "bun:test";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { MemoryNetwork } from "../../runtime/transport/memory.ts";
import { Client, type ClientOptions } from "./world/client.ts";
import { SimulatedHttp } from "./world/http.ts";
import { SimulatedProcess } from "./world/process.ts";
import type { ClientRequest } from "./world/request.ts";
import { oracle } from "./world/run-seed.ts";

const request: ClientRequest = {
  name: "r",
  path: "/v1/completions",
  stream: true,
  choices: 1,
  max_tokens: 4,
  seed: 7,
  stop: "",
  logprobs: false,
  prompt: "hi",
};
const { pieces } = oracle.choice(request, 0);

const head = (cursor: number) => `id: frontend-0-1:${cursor}\ndata: `;
const piece = (cursor: number, text: string) =>
  `${head(cursor)}${JSON.stringify({ choices: [{ index: 0, text }] })}\n\n`;
const finish = (reason: string, cursor = 4) =>
  `${head(cursor)}${JSON.stringify({ choices: [{ index: 0, text: "", finish_reason: reason }] })}\n\n`;
const usage = (tokens: number) =>
  `${head(4)}${JSON.stringify({ choices: [], usage: { completion_tokens: tokens } })}\n\n`;
const done = `${head(4)}[DONE]\n\n`;
const whole = pieces.map((text, i) => piece(i + 1, text));
const end = [finish("length"), usage(4), done];

type Script = (request: Request) => Response;

async function visit(script: Script, options: Partial<ClientOptions> = {}) {
  const simulation = new Simulation(1);
  const { clock, random } = simulation;
  const network = new MemoryNetwork(clock, random);
  const http = new SimulatedHttp(clock, random, () => 1);
  const process = new SimulatedProcess(simulation, network.net(), "frontend-0", 1);
  const fetch = async (each: Request) => script(each);
  http.serve(process, { host: "127.0.0.1", port: 8000, share_port: true, fetch });
  const client = new Client(http, oracle, {
    port: 8000,
    request,
    manner: { kind: "plain" },
    idempotency_key: "",
    resumes: true,
    ...options,
  });
  await simulation.run(2_000);
  return { client, http, process, simulation };
}

const events =
  (parts: readonly string[]): Script =>
  () =>
    new Response(parts.join(""));

test("a whole answer is complete, and nothing is held against it", async () => {
  const { client } = await visit(events([...whole, ...end]));
  expect(client.outcome).toEqual({ kind: "complete" });
  expect(client.complaint).toBeUndefined();
  expect(client.tokens).toBe(4);
});

const [a, b, c, d] = whole as [string, string, string, string];
test.each([
  ["a token twice", [a, b, b, c, d, ...end], /was to come/],
  ["a token too few", [a, b, c, ...end], /4 tokens are|instead of/],
  ["two in the wrong order", [a, c, b, d, ...end], /was to come/],
  ["the cursor goes back", [a, b, piece(1, pieces[2] ?? ""), ...end], /the cursor goes/],
  ["another end", [...whole, finish("stop"), usage(4), done], /ended with stop/],
  ["two ends", [...whole, finish("length"), ...end], /ends twice/],
  ["tokens after the end", [a, b, finish("length", 2), c, d, ...end], /goes on after its end/],
  ["a wrong count", [...whole, finish("length"), usage(5), done], /usage says 5/],
  ["another id", [a, b.replace("frontend-0-1", "other"), c, d, ...end], /the id changed/],
  ["no event", [a, "what\n\n"], /not an event/],
])("%s is held against it", async (_, parts, complaint) => {
  const { client } = await visit(events(parts));
  expect(client.complaint).toMatch(complaint);
});

test("a stream without an end is taken up again where it was lost", async () => {
  const asked: string[] = [];
  const { client } = await visit((each) => {
    asked.push(`${each.method} ${new URL(each.url).pathname} ${each.headers.get("last-event-id")}`);
    return asked.length === 1 ? new Response(a + b) : new Response([c, d, ...end].join(""));
  });
  expect(client.outcome).toEqual({ kind: "complete" });
  expect(client.complaint).toBeUndefined();
  expect(asked).toEqual([
    "POST /v1/completions null",
    "GET /v1/streams/frontend-0-1 frontend-0-1:2",
  ]);
});

test("a dead server is noticed; without a way back the request is broken", async () => {
  const never = () => new Promise<Response>(() => {}) as unknown as Response;
  const { client, http, process, simulation } = await visit(never, { resumes: false });
  expect(client.outcome).toBeUndefined();
  process.die();
  http.died(process);
  await simulation.run(2_000);
  expect(client.outcome).toEqual({ kind: "broken", why: "connection reset by peer" });
});

test("an error body is an error; a body that says nothing is held against it", async () => {
  const refused = { error: { code: "overloaded" } };
  const { client } = await visit(() => Response.json(refused, { status: 529 }));
  expect(client.outcome).toEqual({ kind: "error", status: 529, code: "overloaded" });
  expect(client.complaint).toBeUndefined();
  const silent = await visit(() => new Response("oops", { status: 500 }));
  expect(silent.client.complaint).toContain("without an error");
});
