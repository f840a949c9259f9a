/**
 * The answers of one batch as they are recorded. Each life of a runner writes a part of its own, so
 * no two processes ever write to one; of several records of a line the first one counts. A part
 * whose disk failed is left, and another one begun.
 */
import type { Clock, Log, Random } from "../../runtime/capabilities.ts";
import { errorText } from "../../runtime/error-text.ts";
import { type Contents, type ContentWriter, timedId } from "../files/files.ts";
import { noUsage, type Progress } from "./batch-record.ts";
import { linesOf } from "./line-reader.ts";
import { type LineRecord, recordBytes, recordOf } from "./line-record.ts";
import { usageSum } from "./output-line.ts";

export type LogParts = {
  readonly contents: Contents;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
};

/** An answer is as long as its model makes it. */
const RECORD_BYTES_MAX = 256 * 1024 * 1024;

/** What a log says of its batch. */
export type Recorded = {
  readonly done: Set<number>;
  progress: Progress;
};

export class AnswerLog {
  readonly #parts: LogParts;
  readonly #prefix: string;

  constructor(parts: LogParts, batch: string) {
    this.#parts = parts;
    this.#prefix = `log-${batch}-`;
  }

  /** Each line once, in the order in which they were recorded. */
  async *records(): AsyncGenerator<LineRecord> {
    const { contents } = this.#parts;
    const seen = new Set<number>();
    for (const name of await contents.names(this.#prefix)) {
      for await (const { bytes } of linesOf(contents.read(name), RECORD_BYTES_MAX)) {
        const record = bytes === undefined ? undefined : recordOf(bytes);
        if (record === undefined || seen.has(record.number)) continue;
        seen.add(record.number);
        yield record;
      }
    }
  }

  async load(): Promise<Recorded> {
    const recorded: Recorded = { done: new Set(), progress: noProgress };
    for await (const record of this.records()) {
      recorded.done.add(record.number);
      recorded.progress = progressWith(recorded.progress, record);
    }
    return recorded;
  }

  recorder(): Recorder {
    return new Recorder(this.#parts, this.#prefix);
  }

  async remove(): Promise<void> {
    const { contents } = this.#parts;
    for (const name of await contents.names(this.#prefix)) await contents.remove(name);
  }
}

export const noProgress: Progress = { completed: 0, failed: 0, usage: noUsage, model: null };

export const progressWith = (before: Progress, record: LineRecord): Progress => ({
  completed: before.completed + (record.ok ? 1 : 0),
  failed: before.failed + (record.ok ? 0 : 1),
  usage: usageSum(before.usage, record.usage),
  model: before.model ?? record.model,
});

/** Records of a moment are appended together, and a loss of power takes no more than a second. */
const GATHER_MS = 20;
const SYNC_MS = 1_000;
const RETRY_FROM_MS = 250;
const RETRY_TO_MS = 10_000;
/** From here on no line is begun until the disk has caught up. */
const HELD_BYTES = 8 * 1024 * 1024;

export class Recorder {
  readonly #parts: LogParts;
  readonly #prefix: string;
  #writer: ContentWriter;
  #held: Uint8Array[] = [];
  #held_bytes = 0;
  #synced_ms: number;
  #unsynced = false;
  #writing: Promise<void> | undefined;

  constructor(parts: LogParts, prefix: string) {
    this.#parts = parts;
    this.#prefix = prefix;
    this.#writer = this.#newWriter();
    this.#synced_ms = parts.clock.now_ms();
  }

  get isFull(): boolean {
    return this.#held_bytes >= HELD_BYTES;
  }

  add(record: LineRecord): void {
    const bytes = recordBytes(record);
    this.#held.push(bytes);
    this.#held_bytes += bytes.length;
    this.#writing ??= this.#write();
  }

  /** Resolves when all that was added is on the disk; false: `stopped` came first. */
  async flush(stopped: AbortSignal): Promise<boolean> {
    while (this.#writing !== undefined || this.#unsynced) {
      if (stopped.aborted) return false;
      await (this.#writing ?? this.#sync());
    }
    return true;
  }

  async #write(): Promise<void> {
    const { clock } = this.#parts;
    await pause(clock, GATHER_MS);
    for (let retry_ms = RETRY_FROM_MS; this.#held.length > 0; ) {
      const some = this.#held;
      this.#held = [];
      try {
        await this.#writer.append(Buffer.concat(some));
        this.#held_bytes -= some.reduce((sum, { length }) => sum + length, 0);
        this.#unsynced = true;
        if (clock.now_ms() - this.#synced_ms >= SYNC_MS) await this.#sync();
        retry_ms = RETRY_FROM_MS;
      } catch (error) {
        this.#held = [...some, ...this.#held];
        this.#failed(error);
        await pause(clock, retry_ms);
        retry_ms = Math.min(RETRY_TO_MS, 2 * retry_ms);
      }
    }
    this.#writing = undefined;
  }

  async #sync(): Promise<void> {
    try {
      await this.#writer.sync();
      this.#unsynced = false;
      this.#synced_ms = this.#parts.clock.now_ms();
    } catch (error) {
      this.#failed(error);
      await pause(this.#parts.clock, RETRY_FROM_MS);
    }
  }

  /** What was written of the last part may be cut in two, so nothing is written behind it. */
  #failed(error: unknown): void {
    const why = errorText(error);
    this.#parts.log.log("error", "answers of a batch cannot be written; tried again", { why });
    this.#writer = this.#newWriter();
  }

  #newWriter(): ContentWriter {
    const { contents, clock, random } = this.#parts;
    return contents.writer(this.#prefix + timedId("", clock.wall_ms(), random));
  }
}

export const pause = (clock: Clock, delay_ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(delay_ms, resolve));
