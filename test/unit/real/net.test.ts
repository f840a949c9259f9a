/** The HTTP side of the real network, and of the simulated one, which promises the same. */
import { afterEach, describe, expect, test } from "bun:test";
import type { HttpServer, Net } from "../../../runtime/capabilities.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryNetwork } from "../../../runtime/transport/memory.ts";

const nets: Record<string, () => Net> = {
  real: realNet,
  memory: () => new MemoryNetwork(new VirtualClock(), new SeededRandom(1)).net(),
};
const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(
  net: Net,
  fetch: (request: Request, info: { readonly client: string }) => Promise<Response>,
  more: { port?: number; share_port?: boolean } = {},
): Promise<HttpServer> {
  const server = await net.serve({
    host: "127.0.0.1",
    port: more.port ?? 0,
    share_port: more.share_port ?? false,
    fetch,
  });
  servers.push(server);
  return server;
}

for (const [name, make] of Object.entries(nets)) {
  describe(name, () => {
    test("serves on any free port and names the client", async () => {
      const net = make();
      const server = await serve(net, async (request, { client }) =>
        Response.json({ path: new URL(request.url).pathname, body: await request.text(), client }),
      );
      expect(server.port).toBeGreaterThan(0);
      const answer = await net.fetch(`http://127.0.0.1:${server.port}/x`, {
        method: "POST",
        body: "hello",
      });
      expect(await answer.json()).toEqual({ path: "/x", body: "hello", client: "127.0.0.1" });
    });

    test("a port in use is refused, unless both share it", async () => {
      const net = make();
      const ok = async (): Promise<Response> => new Response("ok");
      const first = await serve(net, ok);
      await expect(serve(net, ok, { port: first.port })).rejects.toMatchObject({
        code: "address_in_use",
        message: expect.stringContaining(String(first.port)),
      });
      const shared = await serve(net, ok, { share_port: true });
      const second = await serve(net, ok, { port: shared.port, share_port: true });
      expect(second.port).toBe(shared.port);
    });

    test("an answer may be a stream, piece by piece", async () => {
      const net = make();
      let push: (text: string) => void = () => {};
      const server = await serve(net, async () => {
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("one "));
            push = (text) =>
              text === "" ? controller.close() : controller.enqueue(new TextEncoder().encode(text));
          },
        });
        return new Response(body);
      });
      const answer = await net.fetch(`http://127.0.0.1:${server.port}/`);
      const reader = answer.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
      const text = new TextDecoder().decode((await reader.read()).value);
      expect(text).toBe("one ");
      push("two");
      let rest = "";
      while (!rest.endsWith("two")) rest += new TextDecoder().decode((await reader.read()).value);
      push("");
      expect((await reader.read()).done).toBe(true);
    });

    test("after a drain nobody new gets in", async () => {
      const net = make();
      const server = await serve(net, async () => new Response("ok"));
      const url = `http://127.0.0.1:${server.port}/`;
      expect(await (await net.fetch(url)).text()).toBe("ok");
      server.drain();
      await expect(
        net.fetch(url, { headers: { connection: "close" } }).then((answer) => answer.text()),
      ).rejects.toThrow();
    });
  });
}

test("bodies over the frontend's own 45 MB reach it, so that its answer is the one seen", async () => {
  const net = realNet();
  const server = await serve(net, async (request) => {
    const { byteLength } = await request.arrayBuffer();
    return new Response(String(byteLength), { status: 413 });
  });
  const body = new Uint8Array(46 * 1024 * 1024);
  const answer = await net.fetch(`http://127.0.0.1:${server.port}/`, { method: "POST", body });
  expect([answer.status, await answer.text()]).toEqual([413, String(body.length)]);
});

test("a host that is not ours is refused with a clear error", async () => {
  const options = { host: "192.0.2.1", port: 0, share_port: false };
  const serving = realNet().serve({ ...options, fetch: async () => new Response() });
  await expect(serving).rejects.toMatchObject({ message: expect.stringContaining("192.0.2.1") });
});

test("a fault of the server is a plain 500 that shows no stack", async () => {
  const net = realNet();
  const server = await serve(net, () => Promise.reject(new Error("a secret of the source")));
  const answer = await net.fetch(`http://127.0.0.1:${server.port}/x`);
  const text = await answer.text();
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    500,
    expect.stringContaining("application/json"),
  ]);
  expect(text).not.toContain("secret");
  expect(JSON.parse(text).error.code).toBe("internal_error");
});
