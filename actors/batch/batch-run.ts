/**
 * One batch from where it stands to its end, in one process:
 *
 *   check all lines ─▶ answer those that are not recorded, some at a time ─▶ write both files
 *
 * Every step can be done again: a process that takes over reads the log and goes on. It ends early
 * when its process gives the batch up (`stopped`), and then the batch is as a crash would leave it.
 */
import type { Clock, Log, Random } from "../../runtime/capabilities.ts";
import { type FileRecord, type FileShelf, timedId } from "../files/files.ts";
import { AnswerLog, pause, progressWith, type Recorded, type Recorder } from "./answer-log.ts";
import type { Batch, BatchBook } from "./batch-book.ts";
import type { BatchMetrics } from "./batch-metrics.ts";
import {
  type BatchEvent,
  type BatchMade,
  type BatchState,
  isOver,
  type LineError,
  noUsage,
  stateAfter,
} from "./batch-record.ts";
import { type CheckedLine, LineChecker } from "./check-line.ts";
import { linesOf } from "./line-reader.ts";
import type { LineRecord } from "./line-record.ts";
import { answerLine, errorLine, type LineAnswer, usageIn } from "./output-line.ts";
import type { Slots, Turn } from "./slots.ts";
import { lineId, type OpenLine, writeFiles } from "./write-files.ts";

/** A line's request as any other: checked, routed, limited and measured. Never rejects. */
export type SubmitLine = (line: {
  readonly owner: string;
  /** The endpoint, as OpenAI names it. */
  readonly path: string;
  /** JSON text. */
  readonly body: string;
  readonly stopped: AbortSignal;
}) => Promise<LineAnswer & { readonly retry_after_ms: number }>;

export type BatchLimits = {
  /** Lines of one batch. */
  readonly lines: number;
  readonly line_bytes: number;
};

export type RunParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly shelf: FileShelf;
  readonly book: BatchBook;
  readonly slots: Slots;
  readonly metrics: BatchMetrics;
  readonly submit: SubmitLine;
  readonly parse: (bytes: Uint8Array) => unknown;
  readonly limits: BatchLimits;
};

/** How often a batch looks whether it is cancelled, and tells how far it is. */
const LOOK_MS = 500;
/** Bad lines that the batch itself names; the error file names all. */
const NAMED_ERRORS = 20;
/** A fault of a server is asked again so often; what is only busy is asked until it is not. */
const FAULTS_MAX = 3;
/** A line's turn is taken back so often, and then it goes on beside others. */
const TAKEN_BACK_MAX = 2;
/** Lines of one batch in memory: those that are answered, and those that wait to be asked again. */
const UNDER_WAY_MAX = 4_096;
const RETRY_FROM_MS = 250;
const RETRY_TO_MS = 15_000;

/** A 429 that does not say when to come again is for ever: the line is larger than a limit. */
const isBusy = ({ status, retry_after_ms }: Awaited<ReturnType<SubmitLine>>): boolean =>
  [408, 499, 503, 529].includes(status) || (status === 429 && retry_after_ms > 0);

export class BatchRun {
  readonly #parts: RunParts;
  readonly #made: BatchMade;
  readonly #answers: AnswerLog;
  #state: BatchState;
  /** The last state that the store has from here, and its bytes there. */
  #stored: BatchState;
  #stored_bytes: Uint8Array | undefined;
  #storing: Promise<void> = Promise.resolve();
  /** No line is begun or awaited any more. */
  readonly #halt = new AbortController();
  #stopped = false;

  constructor(parts: RunParts, { made, state, state_bytes }: Batch) {
    this.#parts = parts;
    this.#made = made;
    // From its first write on, a run of before cannot change the batch any more.
    this.#state = { ...state, run: timedId("", parts.clock.wall_ms(), parts.random) };
    this.#stored = state;
    this.#stored_bytes = state_bytes;
    this.#answers = new AnswerLog({ ...parts, contents: parts.shelf.contents }, made.id);
  }

  get status() {
    return this.#state.status;
  }

  get counts() {
    return this.#state.counts;
  }

  /** Another process goes on with it. */
  stop(): void {
    this.#stopped = true;
    this.#halt.abort();
  }

  /** Resolves at its end, or after `stop`. Rejects when store or disk do not do what they must. */
  async run(): Promise<void> {
    await this.#store();
    const watch = this.#watch();
    try {
      const input = await this.#parts.shelf.kept(this.#made.owner, this.#made.input_file_id);
      if (input === undefined && !isOver(this.status)) await this.#fail(noInput(this.#made));
      else if (input !== undefined) await this.#steps(input);
      if (isOver(this.status)) await this.#cleanUp();
    } finally {
      this.#halt.abort();
      await watch;
    }
  }

  async #steps(input: FileRecord): Promise<void> {
    if (this.status === "validating") await this.#check(input);
    if (this.status === "in_progress") await this.#answerAll(input);
    if (this.status !== "finalizing" && this.status !== "cancelling") return;
    if (this.#stopped) return;
    const open = this.#state.ending === "expired" ? await this.#openLines(input) : undefined;
    const isOwn = async () => !this.#stopped && (await this.#store().then(() => true));
    const { shelf } = this.#parts;
    const written = await writeFiles(shelf, this.#made, this.#answers, open, isOwn);
    if (written !== undefined) await this.#become({ kind: "written", ...written });
  }

  /** Cancelling, expiry and progress, beside all else. */
  async #watch(): Promise<void> {
    const { clock, book, log } = this.#parts;
    while (!this.#halt.signal.aborted) {
      await pause(clock, LOOK_MS);
      if (this.#stopped) return;
      try {
        if (clock.wall_ms() >= this.#made.expires_at * 1_000) await this.#end({ kind: "expire" });
        const cancelled = await book.cancelled_s(this.#made.id);
        if (cancelled !== undefined) await this.#end({ kind: "cancel" });
        if (this.#state !== this.#stored) await this.#store();
      } catch (error) {
        log.log("warn", "a batch cannot tell how far it is; tried again", { error: String(error) });
      }
    }
  }

  async #end(event: BatchEvent): Promise<void> {
    const before = this.status;
    this.#state = stateAfter(this.#state, event, this.#now_s());
    if (this.status === before) return;
    this.#halt.abort();
    await this.#store();
  }

  // ---- the lines -------------------------------------------------------------------------------

  /** All lines of the file, each checked. */
  async *#lines(input: FileRecord): AsyncGenerator<CheckedLine> {
    const { shelf, limits, parse } = this.#parts;
    const { endpoint } = this.#made;
    const checker = new LineChecker({ endpoint, line_bytes: limits.line_bytes, parse });
    for await (const line of linesOf(shelf.read(input), limits.line_bytes)) {
      yield checker.check(line);
    }
  }

  async #check(input: FileRecord): Promise<void> {
    const { lines } = this.#parts.limits;
    const errors: LineError[] = [];
    let total = 0;
    let good = 0;
    for await (const line of this.#lines(input)) {
      if (this.#halt.signal.aborted) return;
      total += 1;
      if (total > lines) return this.#fail(tooManyLines(lines));
      if (line.kind === "request") good += 1;
      else if (errors.length < NAMED_ERRORS) errors.push(line.error);
    }
    if (total === 0) return this.#fail(emptyFile);
    await this.#become({ kind: "checked", total, errors, fatal: good === 0 });
  }

  async #answerAll(input: FileRecord): Promise<void> {
    const { slots } = this.#parts;
    const { signal } = this.#halt;
    const recorded = await this.#answers.load();
    const recorder = this.#answers.recorder();
    this.#told(recorded);
    const under_way = new Set<Promise<void>>();
    for await (const line of this.#lines(input)) {
      if (signal.aborted) break;
      if (recorded.done.has(line.number)) continue;
      if (line.kind === "bad") {
        this.#record(recorder, recorded, this.#badLine(line));
        continue;
      }
      while (recorder.isFull && !signal.aborted) await pause(this.#parts.clock, RETRY_FROM_MS);
      const turn = await slots.take(signal);
      if (turn === undefined) break;
      const answer = this.#answer(turn, line, recorder, recorded).finally(() =>
        under_way.delete(answer),
      );
      under_way.add(answer);
      if (under_way.size >= UNDER_WAY_MAX) await Promise.race(under_way);
    }
    await Promise.all(under_way);
    // What was answered is kept, also when the batch is cancelled.
    const { signal: stopped } = this.#stopped ? this.#halt : new AbortController();
    if (!(await recorder.flush(stopped)) || signal.aborted) return;
    await this.#become({ kind: "answered" });
  }

  /** Has a turn, and gives it back, also while it waits to ask again. */
  async #answer(
    first: Turn,
    { number, custom_id, body }: Extract<CheckedLine, { kind: "request" }>,
    recorder: Recorder,
    recorded: Recorded,
  ): Promise<void> {
    const { submit, metrics, clock, slots } = this.#parts;
    const { owner, endpoint: path, id } = this.#made;
    const { signal } = this.#halt;
    const text = JSON.stringify(body);
    let faults = 0;
    let taken_back = 0;
    let turn = first;
    for (let retry_ms = RETRY_FROM_MS; ; retry_ms = Math.min(RETRY_TO_MS, 2 * retry_ms)) {
      const stopped = AbortSignal.any([signal, turn.taken_back]);
      const answer = await submit({ owner, path, body: text, stopped });
      turn.leave();
      // An answer that came is kept, whatever became of the batch meanwhile.
      const busy = isBusy(answer);
      if (!busy && (answer.status < 500 || ++faults >= FAULTS_MAX)) {
        const ok = answer.status >= 200 && answer.status < 300;
        const { usage, model } = ok ? usageIn(JSON.parse(answer.body)) : noUse;
        const line = answerLine(lineId(id, number), custom_id, answer);
        this.#record(recorder, recorded, { number, ok, usage, model, line });
        return;
      }
      if (signal.aborted) return;
      metrics.line("retried");
      if (turn.taken_back.aborted) taken_back += 1;
      else await pause(clock, Math.max(retry_ms, Math.min(RETRY_TO_MS, answer.retry_after_ms)));
      // A long line would never end if others came again and again.
      const next = await slots.take(signal, taken_back >= TAKEN_BACK_MAX);
      if (next === undefined) return;
      turn = next;
    }
  }

  #badLine({ number, custom_id, error }: Extract<CheckedLine, { kind: "bad" }>): LineRecord {
    const line = errorLine(lineId(this.#made.id, number), custom_id, error);
    return { number, ok: false, ...noUse, line };
  }

  #record(recorder: Recorder, recorded: Recorded, record: LineRecord): void {
    recorder.add(record);
    recorded.done.add(record.number);
    recorded.progress = progressWith(recorded.progress, record);
    this.#parts.metrics.line(record.ok ? "completed" : "failed");
    this.#told(recorded);
  }

  #told({ progress }: Recorded): void {
    this.#state = stateAfter(this.#state, { kind: "progress", progress }, this.#now_s());
  }

  async #openLines(input: FileRecord): Promise<AsyncGenerator<OpenLine>> {
    const { done } = await this.#answers.load();
    const lines = this.#lines(input);
    return (async function* () {
      for await (const { number, custom_id } of lines) {
        if (!done.has(number)) yield { number, custom_id };
      }
    })();
  }

  // ---- its state -------------------------------------------------------------------------------

  #fail(error: LineError): Promise<void> {
    return this.#become({ kind: "checked", total: 0, errors: [error], fatal: true });
  }

  async #become(event: BatchEvent): Promise<void> {
    this.#state = stateAfter(this.#state, event, this.#now_s());
    await this.#store();
  }

  /** Rejects when another process has taken the batch over: this run is over then. */
  #store(): Promise<void> {
    this.#storing = this.#storing.catch(() => {}).then(() => this.#put());
    return this.#storing;
  }

  async #put(): Promise<void> {
    const state = this.#state;
    const bytes = await this.#parts.book.putState(this.#made.id, this.#stored_bytes, state);
    if (bytes === undefined) {
      this.stop();
      throw new Error("another process has taken it over");
    }
    this.#stored = state;
    this.#stored_bytes = bytes;
  }

  async #cleanUp(): Promise<void> {
    const { shelf, book } = this.#parts;
    const { id, input_file_id } = this.#made;
    await shelf.unuse(input_file_id, id);
    await this.#answers.remove();
    await book.over(id);
  }

  #now_s(): number {
    return Math.floor(this.#parts.clock.wall_ms() / 1_000);
  }
}

const noUse = { usage: noUsage, model: null } as const;

const fatal = (code: string, message: string, param: string | null): LineError => ({
  ...{ code, message, param },
  line: null,
});
const emptyFile = fatal("empty_file", "The file has no lines; send one request a line.", null);
const tooManyLines = (lines: number) =>
  fatal("too_many_lines", `A batch has at most ${lines} lines; send several.`, null);
const noInput = ({ input_file_id }: BatchMade) =>
  fatal("file_not_found", `The file '${input_file_id}' is gone; upload it again.`, "input_file_id");
