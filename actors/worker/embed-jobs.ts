/**
 * Embedding asks of a worker. Their inputs wait here, and a few at a time are in the engine, so
 * that a large ask does not take the queue and the sequences that chats need. Asks take turns.
 *
 *   add ─▶ waiting inputs, ask by ask ── fill ──▶ engine, `slots` at a time ── record ──▶ reply
 */
import { tokensOf } from "../../llm/tokens/token-bytes.ts";
import type { Embed, Embeddings, PoolKind, RefusalCode, Refused } from "../../proto/index.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import { refOf } from "../../runtime/remote/node.ts";
import { type Engine, type EngineEvent, failureClass } from "../engine/engine.ts";
import { refused } from "./refusal.ts";

/** Messages of its timers to the worker actor. */
export type EmbedMessage = { readonly kind: "embed_late"; readonly number: number };

export type EmbedContext = Pick<
  Context<EmbedMessage>,
  "clock" | "system" | "monitor" | "demonitor" | "after" | "cancel" | "replyLater" | "deadline_ms"
>;

export type EmbedHost = {
  readonly ctx: () => EmbedContext;
  readonly engine: () => Pick<Engine, "embed" | "describe">;
  readonly nextHandle: () => number;
  /** Stops the engine's work on these handles. */
  readonly cancel: (handles: readonly number[]) => void;
  /** The engine has something more to do. */
  readonly wake: () => void;
  /** The number of waiting inputs has changed. */
  readonly changed: () => void;
};

type EmbedJob = {
  readonly number: number;
  readonly request: string;
  readonly reply: (answer: Embeddings | Refused) => void;
  /** Monitor of the asker; undefined: the ask names none. */
  readonly monitor: number | undefined;
  readonly late: Timer;
  readonly inputs: readonly Uint8Array[];
  readonly pool: PoolKind;
  /** Index in `inputs` of the first input that has not been in the engine. */
  next: number;
  readonly items: { values: Uint8Array; prompt_tokens: number }[];
  /** Index in `items` by handle, for the inputs in the engine. */
  readonly open: Map<number, number>;
  done: number;
};

/**
 * Bounds of waiting inputs and their bytes: some asks of the largest size. Beyond them a worker
 * refuses, as other workers may have less to do.
 */
export const INPUTS_MAX = 16_384;
export const BYTES_MAX = 64 * 1024 * 1024;
/** Inputs in the engine at once: enough to keep it busy; most sequences are for answers. */
const SLOTS_MAX = 4;

export class EmbedJobs {
  readonly #host: EmbedHost;
  readonly #by_handle = new Map<number, EmbedJob>();
  /** Jobs with waiting inputs; the first one has the next turn. */
  #turns: EmbedJob[] = [];
  readonly #jobs = new Set<EmbedJob>();
  #waiting_inputs = 0;
  #waiting_bytes = 0;
  #last_number = 0;

  constructor(host: EmbedHost) {
    this.#host = host;
  }

  /** Inputs in the engine. */
  get running(): number {
    return this.#by_handle.size;
  }

  /** Inputs that wait for the engine. */
  get waiting(): number {
    return this.#waiting_inputs;
  }

  get isIdle(): boolean {
    return this.#jobs.size === 0;
  }

  has(handle: number): boolean {
    return this.#by_handle.has(handle);
  }

  /** Returns a refusal; undefined: taken, and the reply comes when the last input is done. */
  start({ request, inputs, asker, pool }: Embed): Refused | undefined {
    if (inputs.length === 0 || inputs.some((input) => input.length % 4 !== 0)) {
      const message = "an embedding needs inputs of whole tokens";
      return refused(request, { code: "bad_request", message });
    }
    const bytes = bytesOf(inputs);
    const fits =
      this.#waiting_inputs + inputs.length <= INPUTS_MAX &&
      this.#waiting_bytes + bytes <= BYTES_MAX;
    // The size of its message bounds a single ask.
    if (!fits && this.#waiting_inputs > 0) {
      const message =
        "Every worker that was asked has as many embeddings waiting as it may. Try again later.";
      return refused(request, { code: "queue_full", message });
    }
    const ctx = this.#host.ctx();
    const port = ctx.replyLater();
    const left_ms = (ctx.deadline_ms ?? 0) - ctx.clock.now_ms();
    const monitor = asker === undefined ? undefined : ctx.monitor(refOf(ctx.system, asker));
    const number = ++this.#last_number;
    const job: EmbedJob = {
      ...{ request, monitor, inputs, pool, next: 0, done: 0, open: new Map<number, number>() },
      reply: (answer) => void port.reply(answer),
      ...{ number, late: ctx.after(left_ms, { kind: "embed_late", number }) },
      items: inputs.map(() => ({ values: new Uint8Array(0), prompt_tokens: 0 })),
    };
    this.#jobs.add(job);
    this.#turns.push(job);
    this.#waiting_inputs += inputs.length;
    this.#waiting_bytes += bytes;
    this.fill();
    this.#host.changed();
    return undefined;
  }

  /**
   * Gives the engine as many inputs as it may have now. After a refusal that passes (a full queue)
   * the input waits for the next call; any other refusal fails the ask.
   */
  fill(): void {
    if (this.#turns.length === 0) return;
    const engine = this.#host.engine();
    const slots = Math.max(1, Math.min(SLOTS_MAX, engine.describe().max_num_seqs >> 2));
    while (this.#turns.length > 0 && this.#by_handle.size < slots) {
      const job = this.#turns[0]!;
      const handle = this.#host.nextHandle();
      const no = engine.embed(handle, tokensOf(job.inputs[job.next]!), job.pool);
      if (no !== undefined) {
        if (failureClass(no) === "passing") return;
        this.#fail(job, no.code, no.message);
        continue;
      }
      this.#turns.shift();
      this.#by_handle.set(handle, job);
      job.open.set(handle, job.next);
      this.#leaveQueue(job, job.next + 1);
      this.#host.wake();
      if (job.next < job.inputs.length) this.#turns.push(job);
    }
  }

  /** Takes an embedding, or its failure, which fails the ask. */
  record(event: EngineEvent): void {
    const job = this.#by_handle.get(event.handle);
    if (job === undefined || event.kind === "tokens" || event.kind === "scores") return;
    const place = job.open.get(event.handle)!;
    job.open.delete(event.handle);
    this.#by_handle.delete(event.handle);
    if (event.kind === "finished") {
      const message = event.error ?? `The engine ended this embedding with "${event.reason}".`;
      this.#fail(job, "engine_error", message);
    } else {
      const { values, prompt_tokens } = event;
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      job.items[place] = { values: bytes, prompt_tokens };
      job.done++;
      const { request, items } = job;
      if (job.done === items.length) this.#end(job, { kind: "embeddings", request, items });
    }
    this.fill();
    this.#host.changed();
  }

  /** The ask's client left. */
  cancel(request: string): void {
    this.#failAll((job) => job.request === request, "cancelled", "The client left.");
  }

  /** False: the monitor belongs to no ask. */
  askerGone(monitor: number): boolean {
    return this.#failAll(
      (job) => job.monitor === monitor,
      "cancelled",
      "Nobody waits for it any more.",
    );
  }

  late(number: number): void {
    this.#failAll(
      (job) => job.number === number,
      "deadline",
      "These embeddings took longer than a request may. Send fewer inputs at once.",
    );
  }

  #failAll(which: (job: EmbedJob) => boolean, code: RefusalCode, message: string): boolean {
    const failed = [...this.#jobs].filter(which);
    for (const job of failed) this.#fail(job, code, message);
    if (failed.length === 0) return false;
    this.fill();
    this.#host.changed();
    return true;
  }

  #fail(job: EmbedJob, code: RefusalCode, message: string): void {
    const running = [...job.open.keys()];
    for (const handle of running) this.#by_handle.delete(handle);
    job.open.clear();
    this.#leaveQueue(job, job.inputs.length);
    this.#turns = this.#turns.filter((each) => each !== job);
    this.#end(job, refused(job.request, { code, message }));
    this.#host.cancel(running);
  }

  #end(job: EmbedJob, answer: Embeddings | Refused): void {
    const ctx = this.#host.ctx();
    this.#jobs.delete(job);
    ctx.cancel(job.late);
    if (job.monitor !== undefined) ctx.demonitor(job.monitor);
    job.reply(answer);
  }

  #leaveQueue(job: EmbedJob, to: number): void {
    this.#waiting_inputs -= to - job.next;
    for (; job.next < to; job.next++) this.#waiting_bytes -= job.inputs[job.next]!.length;
  }
}

function bytesOf(inputs: readonly Uint8Array[]): number {
  let sum = 0;
  for (const input of inputs) sum += input.length;
  return sum;
}
