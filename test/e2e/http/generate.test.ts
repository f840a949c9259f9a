/** POST /inference/v1/generate over a real socket: token ids in, token ids out. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { hashOf, ownerOf } from "../../../actors/frontend/access/key-rule.ts";
import { parseEvents, startDoor, type TestDoor } from "../../support/worlds/frontend-server.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await startDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

const PATH = "/inference/v1/generate";
const asked = { model: "toy", token_ids: [104, 105], sampling_params: { max_tokens: 3 } };
const ask = (body: object) => door.post(PATH, body);

type Whole = {
  readonly request_id: string;
  readonly choices: readonly {
    readonly index: number;
    readonly token_ids: readonly number[];
    readonly logprobs: { readonly content: readonly object[] } | null;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: object;
};
const whole = async (body: object) => (await (await ask(body)).json()) as Whole;
const eventsOf = (text: string) => {
  const events = parseEvents(text);
  expect(events.at(-1)?.data).toBe("[DONE]");
  return events.slice(0, -1).map(({ data }) => JSON.parse(data) as Whole);
};

test("tokens follow tokens, in one piece or as events", async () => {
  expect(await whole(asked)).toEqual({
    request_id: expect.stringMatching(/^generate-tokens-/),
    choices: [{ index: 0, token_ids: [0, 1, 2], logprobs: null, finish_reason: "length" }],
    ...{ prompt_logprobs: null, kv_transfer_params: null },
    usage: expect.objectContaining({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 }),
  } as Whole);
  expect([...door.answers.last.request.prompt]).toEqual([104, 105]);
  const { model: _, ...unnamed } = asked;
  const stream = { ...unnamed, stream: true, stream_options: { include_usage: true } };
  const events = eventsOf(await (await ask(stream)).text());
  const { request_id } = events[0]!;
  const event = (rest: object) => ({ request_id, choices: [{ index: 0, ...rest }] });
  expect(events).toEqual([
    ...[0, 1, 2].map((token) => event({ token_ids: [token] })),
    event({ finish_reason: "length", token_ids: [] }),
    { request_id, choices: [], usage: expect.objectContaining({ completion_tokens: 3 }) },
  ] as Whole[]);
});

test("several answers, log probabilities and what ends an answer", async () => {
  const params = { n: 2, max_tokens: 2, logprobs: 1, stop: ["END"], stop_token_ids: [7], seed: 1 };
  const { choices } = await whole({ ...asked, sampling_params: params });
  expect(choices.map(({ index, token_ids }) => [index, token_ids])).toEqual([
    [0, [0, 1]],
    [1, [0, 1]],
  ]);
  for (const { logprobs } of choices) {
    expect(logprobs!.content).toHaveLength(2);
    expect(logprobs!.content[0]).toMatchObject({ token: "w0 ", top_logprobs: [{ token: "t0" }] });
  }
  expect(door.answers.last.request).toMatchObject({
    ...{ choices: 2, max_tokens: 2, logprobs: 1, stop_strings: ["END"], stop_tokens: [7] },
  });
  const streamed = { ...asked, stream: true, sampling_params: { max_tokens: 1, logprobs: 0 } };
  const [first] = eventsOf(await (await ask(streamed)).text());
  expect(first!.choices[0]!.logprobs!.content).toHaveLength(1);
  expect((await whole({ ...asked, sampling_params: {} })).choices[0]!.token_ids).toHaveLength(8);
  expect(door.answers.last.request.max_tokens).toBe(16);
});

test("what is wrong is named, with its place", async () => {
  const cases: readonly (readonly [object, number, string, string | null])[] = [
    [{ sampling_params: undefined }, 400, "missing_required_parameter", "sampling_params"],
    [{ token_ids: undefined }, 400, "missing_required_parameter", "token_ids"],
    [{ token_ids: [] }, 400, "invalid_value", "token_ids"],
    [{ token_ids: [1, 900] }, 400, "invalid_value", "token_ids[1]"],
    [{ token_ids: "hi" }, 400, "invalid_value", "token_ids"],
    [{ token_ids: new Array(999).fill(1) }, 400, "context_length_exceeded", "token_ids"],
    [{ model: "no" }, 404, "model_not_found", "model"],
    [{ priority: 3 }, 400, "unsupported_parameter", "priority"],
    [{ prompt: "hi" }, 400, "unknown_parameter", "prompt"],
    [{ stream_options: {} }, 400, "invalid_value", "stream_options"],
  ];
  const sampling: readonly (readonly [object, string, string])[] = [
    [{ temperature: 9 }, "invalid_value", "sampling_params.temperature"],
    [{ max_tokens: 0 }, "invalid_value", "sampling_params.max_tokens"],
    [{ min_tokens: 20 }, "invalid_value", "sampling_params.min_tokens"],
    [{ stop_token_ids: [999] }, "invalid_value", "sampling_params.stop_token_ids"],
    [{ logit_bias: { 999: 1 } }, "invalid_value", "sampling_params.logit_bias"],
    [{ n: 129 }, "invalid_value", "sampling_params.n"],
    [{ prompt_logprobs: 21 }, "invalid_value", "sampling_params.prompt_logprobs"],
    [{ frob: 1 }, "unknown_parameter", "sampling_params.frob"],
  ];
  const all = [
    ...cases,
    ...sampling.map(([sampling_params, code, param]) => {
      return [{ sampling_params }, 400, code, param] as const;
    }),
  ];
  for (const [change, ...expected] of all) {
    const response = await ask({ ...asked, ...change });
    const { error } = (await response.json()) as {
      error: { code: string; param: string | null };
    };
    expect([change, response.status, error.code, error.param]).toEqual([change, ...expected]);
  }
});

test("it needs a key although it is not below /v1", async () => {
  await using locked = await startDoor({ api_keys: ["secret"] });
  expect((await locked.post(PATH, asked)).status).toBe(401);
  const headers = { authorization: "Bearer secret" };
  expect((await locked.post(PATH, asked, { headers })).status).toBe(200);
});

test("whose key it was goes with the answer, where keys are needed", async () => {
  await using locked = await startDoor({ api_keys: ["one", "two"] });
  const owners: unknown[] = [];
  for (const key of ["one", "two", "one"]) {
    await locked.post(PATH, asked, { headers: { "x-api-key": key } });
    owners.push(locked.answers.last.request.owner);
  }
  expect(owners).toEqual([ownerOf(hashOf("one")), ownerOf(hashOf("two")), owners[0]]);
  expect(owners[0]).not.toBe(owners[1]);
  await using open = await startDoor();
  await open.post(PATH, asked);
  expect(open.answers.last.request.owner).toBeUndefined();
});
