/**
 * One server-sent-event body. All events between two flushes leave as one chunk, and a client that
 * does not read fills a bounded buffer.
 *
 *   write ─▶ text so far ─(FlushRounds)─▶ stream queue ─▶ socket
 *                            ▲ full: kept here, write says false, `drained` when it moved on
 *
 * The body is made at the first flush, with the text so far in it, so that Bun sends head and first
 * chunk in one system call. (A stream that is empty at first costs one call for the head alone.
 * When its end comes with its first text, it costs eight more, for the head in pieces.)
 */
import type { FlushRounds } from "./flush-rounds.ts";

export type SseWriterOptions = {
  readonly rounds: FlushRounds;
  /**
   * Called once, with the first flush: a stream that begins with the text so far, or all of it when
   * that is the whole body.
   */
  readonly opened: (body: ReadableStream<Uint8Array> | string) => void;
  /** Beyond this much unsent text `write` answers false. */
  readonly buffer_chars: number;
  /** Called after `write` answered false, once the client has taken what was kept. */
  readonly drained: () => void;
  /** The client went away before `close`. */
  readonly cancelled: () => void;
};

const encoder = new TextEncoder();
/** Bytes that the stream's queue may hold beside our own buffer. */
const QUEUE_BYTES = 65_536;

export class SseWriter {
  readonly #options: SseWriterOptions;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #text = "";
  /** The next write goes out with the tick. */
  #awaited = true;
  #waiting = false;
  #stalled = false;
  #ending = false;
  #closed = false;
  /** True: bytes went out since the last look. */
  #sent = false;
  #quiet_looks = 0;

  constructor(options: SseWriterOptions) {
    this.#options = options;
  }

  /** Asks for a flush with the tick or the next round; without text the head goes out alone. */
  arm(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    if (this.#awaited) this.#options.rounds.soon(this);
    else this.#options.rounds.paced(this);
    this.#awaited = false;
  }

  /** Takes whole events. False = too much is unsent: write no more until `drained` was called. */
  write(events: string): boolean {
    if (this.#closed) return true;
    this.#text += events;
    this.arm();
    if (this.#text.length <= this.#options.buffer_chars) return true;
    this.#stalled = true;
    return false;
  }

  /** Sends a comment, which clients ignore, after `looks` looks in a row without any byte. */
  look(looks: number): void {
    this.#quiet_looks = this.#sent ? 0 : this.#quiet_looks + 1;
    this.#sent = false;
    if (this.#quiet_looks < looks || this.#ending || this.#closed) return;
    this.#quiet_looks = 0;
    // The client has not read the text before; a comment behind it would not help.
    if (this.#text !== "") return;
    this.hurry();
    this.write(": still here\n\n");
  }

  /** The next write goes out with the tick, as a client waits for it after a pause. */
  hurry(): void {
    this.#awaited = true;
  }

  /** Ends the body after everything written. */
  close(): void {
    this.#ending = true;
    this.#options.rounds.soon(this);
  }

  /** Called by the rounds. */
  flush(): void {
    this.#waiting = false;
    this.#flush();
  }

  /** The socket has room again. Text that waits for a round is left to the round. */
  #flushUnlessWaiting(): void {
    if (!this.#waiting || this.#stalled) this.#flush();
  }

  #flush(): void {
    if (this.#closed) return;
    try {
      if (this.#controller === undefined) this.#makeBody();
      else this.#handOver(this.#controller);
    } catch {
      // The server has closed the stream, as it does when a client leaves.
      this.#closed = true;
      this.#text = "";
      this.#options.cancelled();
    }
  }

  #makeBody(): void {
    if (this.#ending) {
      this.#closed = true;
      this.#options.opened(this.#text);
      return;
    }
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.#handOver(controller);
        },
        pull: () => this.#flushUnlessWaiting(),
        cancel: () => {
          this.#closed = true;
          this.#text = "";
          this.#options.cancelled();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }),
    );
    this.#options.opened(body);
  }

  #handOver(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#text !== "" && (controller.desiredSize ?? 0) > 0) {
      const text = this.#text;
      this.#text = "";
      // The stream may pull, and so flush and even close, before this returns.
      controller.enqueue(encoder.encode(text));
      this.#sent = true;
    }
    if (this.#text !== "" || this.#closed) return;
    if (this.#ending) {
      this.#closed = true;
      controller.close();
    } else if (this.#stalled) {
      this.#stalled = false;
      this.#options.drained();
    }
  }
}
