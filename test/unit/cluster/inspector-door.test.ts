/** Who may ask the inspector, and what it answers to whom, on a real socket. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { hostName, isAllowedHost } from "../../../actors/inspector/allowed-host.ts";
import { type DoorSystem, startDoorSystem } from "../../support/inspector/door-system.ts";

let door: DoorSystem;
let url: string;

beforeAll(async () => {
  door = await startDoorSystem({ allow_hosts: ["inspector.example"] });
  url = door.url;
});
afterAll(() => door[Symbol.asyncDispose]());

const reads = ["/", "/api/tree", "/api/processes", "/api/planes", "/api/orphans", "/metrics"];
const snapshot = "/api/actors/root%2Finspector/snapshot";
const foreign = ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "10.1.2.3"];

test("no route answers a name that is not its own", async () => {
  for (const host of foreign) {
    for (const path of [...reads, snapshot, "/nothing"]) {
      for (const method of ["GET", "HEAD", "OPTIONS", "POST"]) {
        const { status } = await fetch(url + path, { method, headers: { host } });
        expect([host, method, path, status]).toEqual([host, method, path, 403]);
      }
    }
  }
  const refused = await fetch(`${url}/api/tree`, { headers: { host: "evil.example:1" } });
  const { error } = (await refused.json()) as { error: string };
  expect(error).toContain('"evil.example:1"');
  expect(error).toContain("--inspector-allow-host");
});

test("its own names are answered, with any port and however they are written", async () => {
  const names = ["localhost", "LOCALHOST.:9", "127.0.0.1", "127.9.9.9:1", "[::1]:8001"];
  for (const host of [...names, "Inspector.Example:77", "x.localhost"]) {
    for (const path of [...reads, snapshot]) {
      const { status } = await fetch(url + path, { headers: { host } });
      expect([host, path, status]).toEqual([host, path, 200]);
    }
  }
});

test("which names are allowed, by what the door listens on", () => {
  const cases: readonly (readonly [host: string | null, listens: string, allowed: boolean])[] = [
    [null, "127.0.0.1", false],
    ["127.0.0.1:65535", "127.0.0.1", true],
    ["127.0.0.1:65536", "127.0.0.1", false],
    ["127.0.0.1:99999999", "127.0.0.1", false],
    ["", "127.0.0.1", false],
    [":80", "127.0.0.1", false],
    ["localhost", "10.0.0.1", true],
    ["localhost.evil.example", "127.0.0.1", false],
    ["notlocalhost", "127.0.0.1", false],
    ["127.0.0.1@evil.example", "127.0.0.1", false],
    ["127.0.0.1.nip.example", "127.0.0.1", false],
    ["10.0.0.1:9", "10.0.0.1", true],
    ["10.0.0.2:9", "10.0.0.1", false],
    ["10.0.0.2:9", "0.0.0.0", true],
    ["[2001:db8::7]:9", "::", true],
    ["[2001:db8::7]", "2001:db8::7", true],
    ["[2001:db8::8]", "2001:db8::7", false],
    ["[0:0:0:0:0:0:0:1]:1", "::1", true],
    ["evil.example", "0.0.0.0", false],
    ["evil.example", "::", false],
    ["GPU1.lan.:8001", "gpu1.lan", true],
    ["gpu2.lan", "gpu1.lan", false],
    ["[::1", "127.0.0.1", false],
    ["::1", "::1", false],
  ];
  for (const [host, listens, allowed] of cases) {
    expect([host, listens, isAllowedHost(host, listens, [])]).toEqual([host, listens, allowed]);
  }
  expect(isAllowedHost("a.example:1", "127.0.0.1", ["b.example", "A.example."])).toBe(true);
  expect(hostName("[FE80::1]:80")).toBe("fe80::1");
});

test("HEAD has the headers of GET and no body; OPTIONS says what a route takes", async () => {
  for (const path of [...reads.filter((at) => at !== "/metrics"), snapshot, "/nothing"]) {
    const get = await fetch(url + path);
    const head = await fetch(url + path, { method: "HEAD" });
    const length = (await get.arrayBuffer()).byteLength;
    expect([path, head.status]).toEqual([path, get.status]);
    // Figures move between two looks, so by a few digits.
    expect(Math.abs(Number(head.headers.get("content-length")) - length)).toBeLessThan(64);
    expect(Number(head.headers.get("content-length"))).toBeGreaterThan(0);
    expect(await head.text()).toBe("");
    if (path === "/nothing") continue;
    const options = await fetch(url + path, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
  }
  for (const path of ["/nothing", "/api/actors/root%2Fx/nothing", "/api/actors"]) {
    for (const method of ["GET", "HEAD", "OPTIONS", "DELETE"]) {
      const { status } = await fetch(url + path, { method });
      expect([method, path, status]).toEqual([method, path, 404]);
    }
  }
  const action = await fetch(`${url}/api/actors/root%2Fx/kill`, { method: "OPTIONS" });
  expect([action.status, action.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
  const wrong = await fetch(`${url}/api/tree`, { method: "POST" });
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
});

test("a snapshot is what one actor says of itself", async () => {
  for (const id of ["root%2Fdoor", "root/door"]) {
    const answer = await fetch(`${url}/api/actors/${id}/snapshot`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      node: "root",
      path: "/door",
      snapshot: {
        served: expect.any(Number),
        port: Number(new URL(url).port),
        ...{ pages: 0, watched: [], passing: 0 },
      },
    });
  }
  expect((await fetch(`${url}/api/actors/root%2Fnobody/snapshot`)).status).toBe(404);
  expect((await fetch(`${url}/api/actors/elsewhere%2Fdoor/snapshot`)).status).toBe(404);
});

/** The whole answer to bytes that no client library would send. */
function rawAnswer(head: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(url).port),
    socket: {
      open: (socket) => void socket.write(head),
      data: (_socket, bytes) => {
        text += bytes.toString();
      },
      close: () => resolve(text),
      error: (_socket, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}

test("a Host that makes no URL, and none at all, is refused as any other odd one", async () => {
  const odd = ["", "localhost:80@evil", "127.0.0.1:99999999", "[::1", "a b", "::", "http://x/"];
  const lines = odd.map((host) => `HTTP/1.1\r\nHost: ${host}\r\nConnection: close`);
  for (const line of [...lines, "HTTP/1.0", "HTTP/1.0\r\nHost: %"]) {
    for (const path of ["/api/tree", "/nothing"]) {
      const answer = await rawAnswer(`GET ${path} ${line}\r\n\r\n`);
      expect([line, answer.split("\r\n")[0]]).toEqual([line, "HTTP/1.1 403 Forbidden"]);
      expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toEqual({
        error: expect.stringContaining("--inspector-allow-host"),
      });
    }
  }
});
