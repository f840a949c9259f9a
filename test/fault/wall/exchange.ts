/**
 * One HTTP request on a connection of its own, down at the socket: what arrives is read at once,
 * a connection that breaks is told apart from an answer that ends, and reading can be paused.
 */
import type { Socket } from "bun";
import { AnswerParser } from "../../bench/load/answer-parser.ts";

export type HttpRequest = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

export type ExchangeEnd =
  | {
      /** The answer came to its own end. */
      readonly kind: "whole";
      readonly status: number;
      /** Of an answer that is no event stream. */
      readonly body: string;
    }
  /** `began`: a status line had come. */
  | { readonly kind: "broken"; readonly why: string; readonly began: boolean };

export type Exchange = {
  readonly ended: Promise<ExchangeEnd>;
  /** Stops and goes on reading from the socket. */
  pause(): void;
  resume(): void;
  hangUp(why: string): void;
};

/** Each server-sent event, in order; fields that were not sent are empty. */
export type OnEvent = (
  event: { readonly id: string; readonly data: string },
  at_ms: number,
) => void;

export function exchange(url: string, request: HttpRequest, onEvent: OnEvent): Exchange {
  const { hostname, port, host } = new URL(url);
  const { promise: ended, resolve } = Promise.withResolvers<ExchangeEnd>();
  const parser = new AnswerParser({ onText: () => {}, onLine: eventsOf(onEvent) });
  let socket: Socket | undefined;
  let over = false;
  const end = (how: ExchangeEnd): void => {
    if (over) return;
    over = true;
    socket?.terminate();
    resolve(how);
  };
  const broken = (why: string): void => end({ kind: "broken", why, began: parser.status !== 0 });
  const whole = (): void => end({ kind: "whole", status: parser.status, body: parser.body });
  let unsent = requestBytes(host, request);
  const flush = (): void => {
    const written = Math.max(0, socket?.write(unsent) ?? 0);
    unsent = unsent.subarray(written);
  };
  Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (opened) => {
        socket = opened;
        if (over) return void opened.terminate();
        opened.setNoDelay(true);
        flush();
      },
      data: (_socket, bytes) => {
        try {
          if (parser.take(bytes, performance.now())) whole();
        } catch (error) {
          broken((error as Error).message);
        }
      },
      drain: flush,
      close: () => (parser.closed() ? whole() : broken("the connection closed")),
      error: (_socket, error) => broken(error.message),
      connectError: (_socket, error) => broken(error.message),
    },
  }).catch((error: Error) => broken(error.message));
  return {
    ended,
    pause: () => socket?.pause(),
    resume: () => socket?.resume(),
    hangUp: broken,
  };
}

function requestBytes(host: string, { method, path, headers, body }: HttpRequest): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, "Connection: close"];
  for (const [name, value] of Object.entries(headers ?? {})) lines.push(`${name}: ${value}`);
  if (body !== undefined) {
    lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`);
  }
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
}

/** Lines of a stream into events; a blank line ends one. */
function eventsOf(onEvent: OnEvent): (line: string, at_ms: number) => void {
  let id = "";
  let data = "";
  return (line, at_ms) => {
    if (line.startsWith("id: ")) id = line.slice(4).trimEnd();
    else if (line.startsWith("data: "))
      data = Buffer.from(line, "latin1").toString("utf8").slice(6);
    else if (line.trimEnd() === "" && data !== "") {
      onEvent({ id, data }, at_ms);
      data = "";
    }
  };
}
