/**
 * The answers a worker is making, found by the names of their readers and by engine handle.
 * Bookkeeping only: the worker actor decides what to send, and when the engine runs.
 */
import type { BeginTimes, CachedFrom, ConsumerMessage, Generate } from "../../../proto/index.ts";
import type { Clock, Timer } from "../../../runtime/capabilities.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { SlotMap } from "../../../runtime/slot-map.ts";
import type { EngineEvent } from "../../engine/engine.ts";
import { wireFinished, wireLogprobs } from "../engine-request.ts";
import type { Arrival } from "./arrivals.ts";
import {
  type ChoiceTranscript,
  endTokens,
  isDelivered,
  nextBatch,
  type ReadPosition,
  recordScores,
  recordTokens,
  type Transcript,
  unsend,
} from "./transcript.ts";

/** A consumer of an answer. Most answers have one. */
export type Reader = {
  readonly answer: LiveAnswer;
  readonly position: ReadPosition;
  readonly consumer: Ref<ConsumerMessage>;
  /** Monitor of the consumer. */
  readonly monitor: number;
};

export type LiveAnswer = {
  /** The request without its consumer, and without its prompt where no client can resume it. */
  readonly generate: Generate;
  readonly transcript: Transcript;
  readonly readers: Reader[];
  /**
   * The last reader, if it ended without a detach and no other has come since: the signal of its
   * end may overtake the messages that it sent before.
   */
  lost: Reader | undefined;
  readonly began_ms: number;
  readonly arrival: Arrival;
  /** Of its way to the first token; undefined: it has none. */
  times: BeginTimes | undefined;
  /** On the clock's scale. */
  readonly deadline_at_ms: number;
  deadline: Timer | undefined;
  /** Runs while the answer has no reader. */
  grace: Timer | undefined;
  /** Engine handles of the choices that have not ended, by choice number. */
  readonly handles: Map<number, number>;
  /** The queue in which it waits to be sent; undefined: its readers were sent everything. */
  queue: SendQueue | undefined;
  /** What came into the engine for it; undefined: this worker has no tiers. */
  readonly cached_from?: CachedFrom;
};

/** `awaited`: a reader has not been sent anything yet, so these answers go first. */
export type SendQueue = "awaited" | "begun";
const SEND_QUEUES: readonly SendQueue[] = ["awaited", "begun"];

type Part = { readonly answer: LiveAnswer; readonly choice: ChoiceTranscript };

export class Delivery {
  readonly #by_request = new SlotMap<string, LiveAnswer>();
  readonly #by_reader = new SlotMap<string, Reader>();
  readonly #by_monitor = new SlotMap<number, Reader>();
  /** Lost readers by name. */
  readonly #by_lost = new SlotMap<string, Reader>();
  readonly #by_handle = new SlotMap<number, Part>();
  /**
   * Answers with something to send, each in one queue. A queue may also hold answers that have
   * left it (`answer.queue` says where they are now); a walk skips them.
   */
  readonly #queues = { awaited: [], begun: [] } as Readonly<Record<SendQueue, LiveAnswer[]>>;
  #unsent_count = 0;

  get count(): number {
    return this.#by_request.size;
  }

  /** The live answer of this request name. */
  get(request: string): LiveAnswer | undefined {
    return this.#by_request.get(request);
  }

  /** The reader of this name; the first reader has the request's name. */
  reader(name: string): Reader | undefined {
    return this.#by_reader.get(name);
  }

  /** The reader of this name, if it was lost and no other has come since. */
  lostReader(name: string): Reader | undefined {
    return this.#by_lost.get(name);
  }

  readerOf(monitor: number): Reader | undefined {
    return this.#by_monitor.get(monitor);
  }

  get handle_count(): number {
    return this.#by_handle.size;
  }

  hasHandle(handle: number): boolean {
    return this.#by_handle.has(handle);
  }

  all(): Iterable<LiveAnswer> {
    return this.#by_request.values();
  }

  add(answer: LiveAnswer): void {
    this.#by_request.set(answer.generate.request, answer);
    for (const choice of answer.transcript.choices) {
      const handle = answer.handles.get(choice.choice);
      if (handle !== undefined) this.#by_handle.set(handle, { answer, choice });
    }
  }

  addReader(reader: Reader): void {
    this.#forgetLost(reader.answer);
    reader.answer.readers.push(reader);
    this.#by_reader.set(reader.position.name, reader);
    this.#by_monitor.set(reader.monitor, reader);
    this.touch(reader.answer);
  }

  removeReader(reader: Reader): void {
    const { readers } = reader.answer;
    const at = readers.indexOf(reader);
    if (at >= 0) readers.splice(at, 1);
    this.#by_reader.delete(reader.position.name);
    this.#by_monitor.delete(reader.monitor);
  }

  /** Keeps a removed reader as lost: it was the last one and did not detach. */
  remember(reader: Reader): void {
    reader.answer.lost = reader;
    this.#by_lost.set(reader.position.name, reader);
  }

  #forgetLost(answer: LiveAnswer): void {
    if (answer.lost !== undefined) this.#by_lost.delete(answer.lost.position.name);
    answer.lost = undefined;
  }

  /** Removes an answer; returns its engine handles that are still running. */
  remove(answer: LiveAnswer): readonly number[] {
    this.#forgetLost(answer);
    this.#by_request.delete(answer.generate.request);
    this.#clean(answer);
    for (const reader of [...answer.readers]) this.removeReader(reader);
    const running = [...answer.handles.values()];
    for (const handle of running) this.#by_handle.delete(handle);
    answer.handles.clear();
    return running;
  }

  /**
   * A reader wants no more tokens of this choice. All readers read the same, so none wants tokens
   * beyond the foremost reader. They still want the choice's end, which tells how much of the
   * prompt was cached. Returns the handle that is running.
   */
  endChoice(answer: LiveAnswer, number: number): number | undefined {
    const { transcript, readers, lost } = answer;
    const at = transcript.choices.findIndex((each) => each.choice === number);
    if (at < 0) return undefined;
    const all = lost === undefined ? readers : [...readers, lost];
    endTokens(transcript.choices[at]!, Math.max(...all.map((each) => each.position.next[at]!)));
    this.touch(answer);
    return answer.handles.get(number);
  }

  /** False: the event was dropped, as no answer has its handle any more. */
  record(event: Exclude<EngineEvent, { kind: "embedding" }>, clock: Clock): boolean {
    const part = this.#by_handle.get(event.handle);
    if (part === undefined) return false;
    const { answer, choice } = part;
    this.touch(answer);
    if (event.kind !== "finished") answer.times ??= timesOf(answer, event, clock.now_ms());
    if (event.kind === "tokens") {
      const first_index = choice.own_from + event.first_index;
      recordTokens(choice, first_index, event.tokens, wireLogprobs(event.logprobs));
      return true;
    }
    if (event.kind === "scores") {
      recordScores(choice, event.first_index, wireLogprobs(event.scores));
      return true;
    }
    const finished = wireFinished(event, choice.choice, choice.tokens.length);
    const { cached_from } = answer;
    choice.finished = cached_from === undefined ? finished : { ...finished, cached_from };
    this.#by_handle.delete(event.handle);
    answer.handles.delete(choice.choice);
    return true;
  }

  /** Queues an answer that has new tokens or ends, or new credit. */
  touch(answer: LiveAnswer): void {
    if (answer.queue === "awaited") return;
    const queue = isAwaited(answer) ? "awaited" : "begun";
    if (answer.queue === queue) return;
    if (answer.queue === undefined) this.#unsent_count++;
    answer.queue = queue;
    this.#queues[queue].push(answer);
  }

  #clean(answer: LiveAnswer): void {
    if (answer.queue === undefined) return;
    answer.queue = undefined;
    this.#unsent_count--;
  }

  /**
   * Sends one batch to each reader that has credit and was not sent everything. Returns the answers
   * that are over and delivered. A batch that a full outbound queue refuses stays queued for the
   * next flush.
   */
  flush(): readonly LiveAnswer[] {
    const over: LiveAnswer[] = [];
    for (const queue of SEND_QUEUES) {
      const answers = this.#queues[queue];
      let kept = 0;
      for (const answer of answers) {
        if (answer.queue !== queue) continue;
        if (!sendTo(answer)) {
          answers[kept++] = answer;
          continue;
        }
        this.#clean(answer);
        if (isOver(answer)) over.push(answer);
      }
      answers.length = kept;
    }
    return over;
  }

  get has_unsent(): boolean {
    return this.#unsent_count > 0;
  }
}

/** True: the engine has no work for it, and each reader was told the end. */
function isOver({ transcript, handles, readers }: LiveAnswer): boolean {
  if (handles.size > 0 && !transcript.late) return false;
  return readers.every((reader) => isDelivered(reader.position));
}

function isAwaited({ readers }: LiveAnswer): boolean {
  for (const { position } of readers) if (position.sent === 0) return true;
  return false;
}

type Made = Extract<EngineEvent, { kind: "tokens" | "scores" }>;

/** Scores of a prompt come with its passes, so the engine does not say how long those took. */
function timesOf({ arrival, began_ms }: LiveAnswer, event: Made, now_ms: number): BeginTimes {
  const said_ms = event.kind === "tokens" ? event.prefill_ms : undefined;
  const prefill_ms = Math.min(said_ms ?? now_ms - began_ms, now_ms - began_ms);
  return beginTimes(arrival, now_ms, prefill_ms);
}

/** Of an answer whose first token is here now. */
export function beginTimes(arrival: Arrival, now_ms: number, prefill_ms: number): BeginTimes {
  const { arrived_ms, transfer_ms } = arrival;
  return { transfer_ms, queue_ms: now_ms - arrived_ms - transfer_ms - prefill_ms, prefill_ms };
}

/** False: a batch was refused. */
function sendTo({ transcript, readers, times }: LiveAnswer): boolean {
  let handed_over = true;
  for (const { position, consumer } of readers) {
    const isFirst = position.sent === 0;
    const made = nextBatch(transcript, position);
    if (made === undefined) continue;
    const batch = isFirst && times !== undefined ? { ...made, times } : made;
    if (consumer.tell(batch)) continue;
    unsend(transcript, position, batch);
    handed_over = false;
  }
  return handed_over;
}
