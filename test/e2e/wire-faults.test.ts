/**
 * What HTTP/1.1 says of bytes on the wire, and what this door makes of them. The server is Bun's: a
 * row whose `seen` is not among `expected` is a fault of it that a handler of requests cannot mend.
 * When a newer Bun answers otherwise a row fails: correct it here and in docs/operating.md.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startDoor, type TestDoor } from "../support/worlds/frontend-server.ts";

const body = JSON.stringify({ model: "toy", prompt: "hi", max_tokens: 2 });
const typed = "Host: x\r\nContent-Type: application/json\r\n";
const head = (line: string, more = "") => `${line} HTTP/1.1\r\n${typed}${more}\r\n`;
const post = `${head("POST /v1/completions", `Content-Length: ${body.length}\r\n`)}${body}`;
const get = head("GET /live");
const size = body.length.toString(16);
const chunked = (extension = "") =>
  head("POST /v1/completions", "Transfer-Encoding: chunked\r\n") +
  `${size}${extension}\r\n${body}\r\n0\r\n`;
const both = `Content-Length: 3\r\nTransfer-Encoding: chunked\r\n`;

type Row = {
  readonly name: string;
  readonly parts: readonly string[];
  readonly half_close?: boolean;
  /** Where it is said, and what may come of it. */
  readonly by: string;
  readonly expected: readonly string[];
  /** Statuses in order, then whether the server closed the connection. */
  readonly seen: string;
};

const rows: readonly Row[] = [
  {
    name: "one POST",
    parts: [post],
    by: "RFC 9112 §9.3",
    expected: ["200, open"],
    seen: "200, open",
  },
  {
    name: "a POST in pieces",
    parts: [post.slice(0, 7), post.slice(7, 60), post.slice(60, -3), post.slice(-3)],
    by: "RFC 9112 §2.1",
    expected: ["200, open"],
    seen: "200, open",
  },
  {
    name: "a POST after the answer to another",
    parts: [post, "answer", post],
    by: "RFC 9112 §9.3",
    expected: ["200 200, open"],
    seen: "200 200, open",
  },
  {
    name: "a line break behind a POST's body",
    parts: [`${post}\r\n`],
    by: "RFC 9112 §2.2: a server SHOULD ignore at least one empty line before a request line",
    expected: ["200, open"],
    seen: "400, closed",
  },
  {
    name: "a line break before a GET",
    parts: [`\r\n${get}`],
    by: "RFC 9112 §2.2: a server SHOULD ignore at least one empty line before a request line",
    expected: ["200, open"],
    seen: "400, closed",
  },
  {
    name: "two POSTs, pipelined",
    parts: [post + post],
    by: "RFC 9112 §9.3.2: a server MUST send the responses in the order of the requests",
    expected: ["200 200, open", "200, closed"],
    seen: "none, closed",
  },
  {
    name: "a client that ends its sending side after its request",
    parts: [post],
    half_close: true,
    by: "RFC 9293 §3.6: a side that has sent its FIN goes on receiving until it gets one",
    expected: ["200, closed"],
    seen: "none, closed",
  },
  {
    name: "a chunked body",
    parts: [`${chunked()}\r\n`],
    by: "RFC 9112 §7.1",
    expected: ["200, open"],
    seen: "200, open",
  },
  {
    name: "a chunked body with an extension",
    parts: [`${chunked(";a=b")}\r\n`],
    by: "RFC 9112 §7.1.1: a recipient MUST ignore unrecognized chunk extensions",
    expected: ["200, open"],
    seen: "200, open",
  },
  {
    name: "a chunked body with a trailer",
    parts: [`${chunked()}X-Checksum: 1\r\n\r\n`],
    by: "RFC 9112 §7.1.2: a recipient may retain or discard trailer fields",
    expected: ["200, open"],
    seen: "400, closed",
  },
  {
    name: "Expect: 100-continue",
    parts: [post.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")],
    by: "RFC 9110 §10.1.1",
    expected: ["100 200, open", "200, open"],
    seen: "100 200, open",
  },
  {
    name: "a target in absolute form",
    parts: [head("GET http://x/live")],
    by: "RFC 9112 §3.2.2: a server MUST accept the absolute form",
    expected: ["200, open"],
    seen: "200, open",
  },
  {
    name: "OPTIONS *",
    parts: [head("OPTIONS *")],
    by: "RFC 9112 §3.2.4",
    expected: ["200, open", "204, open"],
    seen: "400, closed",
  },
  {
    name: "HTTP/1.0 without Host",
    parts: ["GET /live HTTP/1.0\r\n\r\n"],
    by: "RFC 9112 §3.2",
    expected: ["200, closed"],
    seen: "200, closed",
  },
  {
    name: "HTTP/1.1 without Host",
    parts: ["GET /live HTTP/1.1\r\n\r\n"],
    by: "RFC 9112 §3.2: a server MUST respond with a 400",
    expected: ["400, closed", "400, open"],
    seen: "400, closed",
  },
  ...["", "localhost:80@evil", "127.0.0.1:99999999", "[::1"].map((host) => ({
    name: `Host: ${host}`,
    parts: [get, "answer", post].map((text) => text.replace("Host: x", `Host: ${host}`)),
    by: "RFC 9112 §3.2: a server MUST respond with a 400, and this one serves every name",
    expected: ["200 200, open", "400, closed"],
    seen: "200 200, open",
  })),
  {
    name: "two lengths that differ",
    parts: [`${head("POST /v1/completions", "Content-Length: 2\r\nContent-Length: 3\r\n")}{}`],
    by: "RFC 9112 §6.3: the server MUST respond with a 400 and close",
    expected: ["400, closed"],
    seen: "400, closed",
  },
  {
    name: "a length and chunks at once",
    parts: [`${head("POST /v1/completions", both)}0\r\n\r\n`],
    by: "RFC 9112 §6.3: a server MAY reject it, or MUST take the chunks and close",
    expected: ["400, closed"],
    seen: "400, closed",
  },
  {
    name: "a blank before a header's colon",
    parts: ["GET /live HTTP/1.1\r\nHost : x\r\n\r\n"],
    by: "RFC 9112 §5.1: a server MUST reject it with a 400",
    expected: ["400, closed", "400, open"],
    seen: "400, closed",
  },
];

const faults = rows.filter(({ expected, seen }) => !expected.includes(seen));

let door: TestDoor;
/** Bun's server alone, whose handler takes its time as an engine does. */
let bare: ReturnType<typeof Bun.serve>;
beforeAll(async () => {
  door = await startDoor();
  bare = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      await request.text();
      await new Promise((resolve) => setTimeout(resolve, 5));
      return new Response("{}");
    },
  });
});
afterAll(async () => {
  await bare.stop(true);
  await door[Symbol.asyncDispose]();
});

/** As long as nothing may come before it counts as all there is. */
const quiet_ms = 300;

function outcomeOf(port: number, { parts, half_close = false }: Row): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    let left = [...parts];
    let silent: ReturnType<typeof setTimeout>;
    const told = (how: string) => {
      clearTimeout(silent);
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
      resolve(`${statuses.join(" ") || "none"}, ${how}`);
    };
    const later = (socket: Bun.Socket) => {
      clearTimeout(silent);
      silent = setTimeout(() => {
        told("open");
        socket.terminate();
      }, quiet_ms);
    };
    const send = (socket: Bun.Socket) => {
      later(socket);
      const part = left[0];
      if (part === undefined || part === "answer") return;
      left = left.slice(1);
      socket.write(part);
      if (left.length > 0) setImmediate(() => send(socket));
      else if (half_close) socket.shutdown();
    };
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: send,
        data: (socket, bytes) => {
          text += bytes.toString();
          later(socket);
          if (left[0] !== "answer") return;
          left = left.slice(1);
          send(socket);
        },
        close: () => told("closed"),
        error: () => told("closed"),
      },
    }).catch(reject);
  });
}

for (const row of rows) {
  test(`${row.name}: ${row.seen}`, async () => {
    expect(await outcomeOf(door.port, row)).toBe(row.seen);
  });
}

test("what is not as it should be is Bun's own, and no more than this", async () => {
  expect(faults.map(({ name }) => name)).toEqual([
    "a line break behind a POST's body",
    "a line break before a GET",
    "two POSTs, pipelined",
    "a client that ends its sending side after its request",
    "a chunked body with a trailer",
    "OPTIONS *",
  ]);
  const port = bare.port ?? 0;
  for (const row of faults)
    expect([row.name, await outcomeOf(port, row)]).toEqual([row.name, row.seen]);
});

test("every fault is in docs/operating.md", async () => {
  const page = await Bun.file(new URL("../../docs/operating.md", import.meta.url)).text();
  for (const { name } of faults) expect([name, page.includes(`| ${name} |`)]).toEqual([name, true]);
});
