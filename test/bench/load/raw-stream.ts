/**
 * One streamed request whose bytes are only kept, with the time of each read: `understood` is for
 * when all of them are over, as hundreds of them must not disturb what they measure. For the same
 * reason the bytes go into one block a request: a hundred thousand buffers would be looked through
 * at each garbage collection, which stops this process and takes the cores of those it measures.
 */
import type { Socket } from "bun";

export type RawAnswer = {
  readonly bytes: Uint8Array;
  /** When each read of the body came, on the scale of performance.now(). */
  readonly at_ms: readonly number[];
  readonly error: string;
};

const end = Buffer.from("0\r\n\r\n");
/** An answer of 150 tokens has 45,000; a longer one makes the block grow. */
const first_bytes = 64 * 1024;

export async function readRaw(
  url: string,
  path: string,
  body: object,
  timeout_ms: number,
): Promise<RawAnswer> {
  const { hostname, port, host } = new URL(url);
  const kept = new KeptBytes();
  const at_ms: number[] = [];
  let socket: Socket | undefined;
  let error = "";
  let over = false;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => finish(`not over after ${timeout_ms} ms`), timeout_ms);
    const finish = (why: string) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      error = why;
      resolve();
    };
    const payload = JSON.stringify({ ...body, stream: true });
    const head =
      `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(payload)}\r\n\r\n`;
    Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        open: (opened) => {
          socket = opened;
          opened.setNoDelay(true);
          opened.write(head + payload);
        },
        data: (_socket, bytes) => {
          at_ms.push(performance.now());
          kept.add(bytes);
          if (bytes.length >= end.length && bytes.subarray(-end.length).equals(end)) finish("");
        },
        close: () => finish("the server closed the connection"),
        error: (_socket, why) => finish(why.message),
      },
    }).catch((why: Error) => finish(why.message));
  });
  socket?.terminate();
  return { bytes: kept.all(), at_ms, error };
}

class KeptBytes {
  #block = new Uint8Array(first_bytes);
  #length = 0;

  add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#block.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.all());
      this.#block = larger;
    }
    this.#block.set(bytes, this.#length);
    this.#length = length;
  }

  all(): Uint8Array {
    return this.#block.subarray(0, this.#length);
  }
}

/** Writes hold whole events, so that the lines of chunks never cut one. */
export function understood({ bytes }: RawAnswer): {
  readonly text: string;
  readonly done: boolean;
  /** At how many workers it was made, by its event ids (docs/api.md); 0 = unknown. */
  readonly workers: number;
} {
  const whole = new TextDecoder().decode(bytes);
  let text = "";
  let done = false;
  let workers = 0;
  for (const line of whole.split("\n")) {
    if (line.startsWith("id: ")) workers = Number(/@(\d+)..$/.exec(line)?.[1] ?? workers);
    if (!line.startsWith("data: ")) continue;
    const data = line.slice(6).trim();
    if (data === "[DONE]") done = true;
    else text += (JSON.parse(data) as { choices?: { text?: string }[] }).choices?.[0]?.text ?? "";
  }
  return { text, done, workers };
}

/** The longest time between two reads, of those that end between the two times. */
export function longestGapMs(
  { at_ms }: RawAnswer,
  from_ms: number,
  to_ms = Number.POSITIVE_INFINITY,
): number {
  let longest_ms = 0;
  for (let i = 1; i < at_ms.length; i++) {
    if (at_ms[i]! < from_ms || at_ms[i]! > to_ms) continue;
    longest_ms = Math.max(longest_ms, at_ms[i]! - at_ms[i - 1]!);
  }
  return longest_ms;
}
