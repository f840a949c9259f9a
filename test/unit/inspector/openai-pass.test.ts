/** `/v1/*` on the inspector's port is the OpenAI port's. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type DoorSystem, startDoorSystem } from "../../support/inspector/door-system.ts";

type Seen = { path: string; method: string; headers: Record<string, string>; body: string };
let door: DoorSystem;
let upstream: Bun.Server<undefined>;
const seen: Seen[] = [];
let aborted = Promise.withResolvers<void>();
/** The next piece of a stream leaves when a test says so. */
let release = Promise.withResolvers<void>();

beforeAll(async () => {
  upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (pathname === "/v1/endless") return endless(request);
      const headers = Object.fromEntries(request.headers);
      const body = await request.text();
      seen.push({ path: pathname + search, method: request.method, headers, body });
      if (pathname === "/v1/events") return events();
      return Response.json(
        { length: body.length },
        { status: 201, headers: { "x-request-id": "7", "access-control-allow-origin": "*" } },
      );
    },
  });
  const openai = () => `http://127.0.0.1:${upstream.port}`;
  door = await startDoorSystem({ about: { version: "1", namespace: "n", machine: "m", openai } });
});
afterAll(async () => {
  await door[Symbol.asyncDispose]();
  await upstream.stop(true);
});

function events(): Response {
  const encoder = new TextEncoder();
  return new Response(
    new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode("data: 1\n\n"));
        await release.promise;
        controller.enqueue(encoder.encode("data: 2\n\n"));
        controller.close();
      },
    }),
    { headers: { "content-type": "text/event-stream" } },
  );
}

function endless(request: Request): Response {
  request.signal.addEventListener("abort", () => aborted.resolve());
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
      },
    }),
  );
}

const passing = () => (door.system.snapshot("/door") as { passing: number }).passing;

test("what is asked goes along with its key, and comes back with its status", async () => {
  const response = await fetch(`${door.url}/v1/chat/completions?x=%2F`, {
    method: "POST",
    headers: { authorization: "Bearer key", "content-type": "application/json", cookie: "a=b" },
    body: JSON.stringify({ model: "é" }),
  });
  expect(response.status).toBe(201);
  expect(response.headers.get("x-request-id")).toBe("7");
  expect(response.headers.get("access-control-allow-origin")).toBeNull();
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(await response.json()).toEqual({ length: 13 });
  const { path, method, headers, body } = seen.at(-1)!;
  expect([path, method, body]).toEqual(["/v1/chat/completions?x=%2F", "POST", '{"model":"é"}']);
  expect(headers).toMatchObject({
    authorization: "Bearer key",
    "content-type": "application/json",
  });
  expect(headers["cookie"]).toBeUndefined();
  expect(headers["host"]).toBe(`127.0.0.1:${upstream.port}`);
  const models = await fetch(`${door.url}/v1/models`);
  expect([models.status, seen.at(-1)?.method]).toEqual([201, "GET"]);
  await models.body?.cancel();
});

test("a body of any length flows through", async () => {
  const response = await fetch(`${door.url}/v1/files`, {
    method: "POST",
    body: "x".repeat(3 * 1024 * 1024),
  });
  expect(await response.json()).toEqual({ length: 3 * 1024 * 1024 });
});

test("events come as they are made", async () => {
  release = Promise.withResolvers();
  const response = await fetch(`${door.url}/v1/events`, { method: "POST", body: "{}" });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = response.body!.getReader();
  const text = async () => new TextDecoder().decode((await reader.read()).value);
  expect(await text()).toBe("data: 1\n\n");
  expect(passing()).toBe(1);
  release.resolve();
  expect(await text()).toBe("data: 2\n\n");
  expect((await reader.read()).done).toBe(true);
  while (passing() > 0) await Bun.sleep(1);
});

test("who leaves here leaves there", async () => {
  aborted = Promise.withResolvers();
  const leave = new AbortController();
  const response = await fetch(`${door.url}/v1/endless`, { signal: leave.signal });
  await response.body!.getReader().read();
  leave.abort();
  await aborted.promise;
  while (passing() > 0) await Bun.sleep(1);
});

test("who has left is counted once, however the answer ends", async () => {
  for (let i = 0; i < 20; i++) {
    const leave = new AbortController();
    const response = await fetch(`${door.url}/v1/endless`, { signal: leave.signal });
    await response.body!.getReader().read();
    leave.abort();
  }
  const settled = await Bun.sleep(50).then(passing);
  expect(settled).toBe(0);
});

test("who sends slowly takes no place of those that are under way", async () => {
  const { host, hostname, port } = new URL(door.url);
  const head = `POST /v1/x HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 9\r\n\r\n{`;
  const open = () =>
    Bun.connect({
      ...{ hostname, port: Number(port) },
      socket: { open: (socket) => void socket.write(head), data: () => {} },
    });
  const before = (door.system.snapshot("/door") as { served: number }).served;
  const slow = await Promise.all(Array.from({ length: 80 }, open));
  const asked = () => (door.system.snapshot("/door") as { served: number }).served;
  while (asked() < before + slow.length) await Bun.sleep(1);
  const response = await fetch(`${door.url}/v1/models`);
  expect([response.status, passing()]).toEqual([201, 0]);
  for (const socket of slow) socket.terminate();
});

test("another site's page cannot generate here, and a machine without a frontend says so", async () => {
  const foreign = await fetch(`${door.url}/v1/chat/completions`, {
    method: "POST",
    headers: { origin: "http://evil.example" },
    body: "{}",
  });
  expect(foreign.status).toBe(403);
  await using alone = await startDoorSystem();
  const response = await fetch(`${alone.url}/v1/models`);
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ error: { code: "no_frontend" } });
  const openai = () => "http://127.0.0.1:1";
  const about = { version: "", namespace: "", machine: "", openai };
  await using dead = await startDoorSystem({ about });
  expect((await fetch(`${dead.url}/v1/models`)).status).toBe(502);
  expect(dead.system.snapshot("/door")).toMatchObject({ passing: 0 });
});

test("where others reach the inspector, answers need its token, and the API key goes along", async () => {
  const openai = () => `http://127.0.0.1:${upstream.port}`;
  await using open = await startDoorSystem({
    host: "0.0.0.0",
    acting: { read_only: false, token: "secret" },
    about: { version: "1", namespace: "n", machine: "m", openai },
  });
  const post = (headers: Record<string, string>) =>
    fetch(`${open.url}/v1/completions`, { method: "POST", headers, body: "{}" });
  for (const headers of [
    {},
    { "x-inspector-token": "wrong" },
    { authorization: "Bearer secret" },
  ]) {
    const before = seen.length;
    const refused = await post(headers as Record<string, string>);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { code: "inspector_token_needed" } });
    expect(seen.length).toBe(before);
  }
  const taken = await post({ "x-inspector-token": "secret", authorization: "Bearer key" });
  expect(taken.status).toBe(201);
  expect(seen.at(-1)?.headers["authorization"]).toBe("Bearer key");
  expect(seen.at(-1)?.headers["x-inspector-token"]).toBeUndefined();
  expect((await fetch(`${open.url}/v1/models`)).status).toBe(201);
});
