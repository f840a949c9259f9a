/**
 * Writes the lines of a request trace, some at a time, and begins a new file when one is full:
 * FILE, then FILE.1, FILE.2, … from the newest to the oldest.
 */
import { errorText } from "../../../runtime/error-text.ts";
import { Actor, type Snapshot } from "../../../runtime/kernel/actor.ts";
import type { RequestTraces } from "./request-traces.ts";
import { traceLines } from "./trace-record.ts";

export type TraceWriterOptions = {
  readonly path: string;
  readonly traces: RequestTraces;
  /** A file that has so many gets no more. */
  readonly file_bytes: number;
  /** Files that are kept, the one that is written included. */
  readonly files: number;
};

type TraceMessage = { readonly kind: "write" };

const WRITE_MS = 250;
/** Prompt tokens that are hashed in one turn: some milliseconds. */
const TURN_TOKENS = 128 * 1024;

export class TraceWriter extends Actor<TraceMessage> {
  readonly #options: TraceWriterOptions;
  #file_bytes = 0;
  #written = 0;
  #writing = false;
  #failing = false;

  constructor(options: TraceWriterOptions) {
    super();
    this.#options = options;
  }

  override async init(): Promise<void> {
    const { path, traces } = this.#options;
    const { metrics } = this.ctx.system;
    this.#file_bytes = (await this.ctx.capabilities.files.size_bytes(path)) ?? 0;
    const dropped = "Requests whose line in the request trace was dropped";
    metrics.gauge("troupe_request_trace_dropped", dropped, {}, () => traces.dropped);
    const written = "Requests that are in the request trace since this process began";
    metrics.gauge("troupe_request_trace_written", written, {}, () => this.#written);
    this.ctx.every(WRITE_MS, { kind: "write" });
  }

  override receive(): void {
    void this.#write();
  }

  override async terminate(): Promise<void> {
    while (this.#options.traces.waiting > 0 && !this.#failing) await this.#writeSome();
  }

  override inspect(): Snapshot {
    const { path, traces } = this.#options;
    return { path, written: this.#written, waiting: traces.waiting, dropped: traces.dropped };
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      // Other requests have their turns between two writes.
      while (this.#options.traces.waiting > 0) {
        await this.#writeSome();
        if (this.#failing) return;
      }
    } finally {
      this.#writing = false;
    }
  }

  async #writeSome(): Promise<void> {
    const { path, traces, file_bytes } = this.#options;
    const taken = traces.take(TURN_TOKENS);
    const bytes = new TextEncoder().encode(taken.map(traceLines).join(""));
    try {
      if (this.#file_bytes > 0 && this.#file_bytes + bytes.length > file_bytes) await this.#turn();
      await this.ctx.capabilities.files.append(path, bytes);
      this.#file_bytes += bytes.length;
      this.#written += taken.length;
      this.#failing = false;
    } catch (error) {
      traces.dropped += taken.length;
      if (!this.#failing) {
        const line = `the request trace cannot be written to ${path}; its lines are dropped`;
        this.ctx.log.log("error", line, { why: errorText(error) });
      }
      this.#failing = true;
    }
  }

  /** FILE becomes FILE.1, that FILE.2, and so on; the last one is overwritten. */
  async #turn(): Promise<void> {
    const { path, files } = this.#options;
    const { size_bytes, rename, remove } = this.ctx.capabilities.files;
    for (let at = files - 2; at >= 0; at -= 1) {
      const from = at === 0 ? path : `${path}.${at}`;
      if ((await size_bytes(from)) !== undefined) await rename(from, `${path}.${at + 1}`);
    }
    if (files === 1) await remove(path);
    this.#file_bytes = 0;
  }
}
