/**
 * The answers a worker is making, found by request and by engine handle. Bookkeeping only: who is
 * told what, and when the engine runs, is the worker actor's business.
 */
import type { ConsumerMessage, TokenBatch } from "../../proto/index.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import type { Ref } from "../../runtime/ref.ts";
import type { EngineEvent } from "../engine/engine.ts";
import {
  type AnswerLog,
  type ChoiceLog,
  dropUnsent,
  isDelivered,
  nextBatch,
  recordTokens,
  unsend,
} from "./answer-log.ts";
import { wireFinished, wireLogprobs } from "./engine-request.ts";

export type LiveAnswer = {
  readonly log: AnswerLog;
  readonly consumer: Ref<ConsumerMessage>;
  readonly began_ms: number;
  /** Of the consumer. */
  readonly monitor: number;
  readonly deadline: Timer;
  /** Engine handles of the choices that have not ended, by choice number. */
  readonly handles: Map<number, number>;
};

type Part = { readonly answer: LiveAnswer; readonly choice: ChoiceLog };

export class LiveAnswers {
  private readonly by_request = new Map<string, LiveAnswer>();
  private readonly by_monitor = new Map<number, LiveAnswer>();
  private readonly by_handle = new Map<number, Part>();
  /** Have something that their consumers were not sent. */
  private readonly dirty = new Set<LiveAnswer>();

  get count(): number {
    return this.by_request.size;
  }

  get(request: string): LiveAnswer | undefined {
    return this.by_request.get(request);
  }

  ofConsumer(monitor: number): LiveAnswer | undefined {
    return this.by_monitor.get(monitor);
  }

  hasHandle(handle: number): boolean {
    return this.by_handle.has(handle);
  }

  all(): IterableIterator<LiveAnswer> {
    return this.by_request.values();
  }

  add(answer: LiveAnswer): void {
    this.by_request.set(answer.log.request, answer);
    this.by_monitor.set(answer.monitor, answer);
    for (const choice of answer.log.choices) {
      this.by_handle.set(answer.handles.get(choice.choice)!, { answer, choice });
    }
  }

  /** Forgets it; returns the engine handles that are still running. */
  remove(answer: LiveAnswer): readonly number[] {
    this.by_request.delete(answer.log.request);
    this.by_monitor.delete(answer.monitor);
    this.dirty.delete(answer);
    const running = [...answer.handles.values()];
    for (const handle of running) this.by_handle.delete(handle);
    answer.handles.clear();
    return running;
  }

  /**
   * The consumer wants no more tokens of this choice, but it still wants to be told of its end:
   * what the prompt had in the cache is known only then. Returns the handle that is running.
   */
  endChoice(answer: LiveAnswer, number: number): number | undefined {
    const choice = answer.log.choices.find((each) => each.choice === number);
    if (choice !== undefined) dropUnsent(choice);
    this.dirty.add(answer);
    return answer.handles.get(number);
  }

  /** Events of handles that nobody wants any more are dropped: false. */
  record(event: Exclude<EngineEvent, { kind: "embedding" }>): boolean {
    const part = this.by_handle.get(event.handle);
    if (part === undefined) return false;
    const { answer, choice } = part;
    this.dirty.add(answer);
    if (event.kind === "tokens") {
      recordTokens(choice, event.first_index, event.tokens, wireLogprobs(event.logprobs));
      return true;
    }
    const total_tokens = choice.base + choice.tokens.length;
    choice.finished = wireFinished(event, choice.choice, total_tokens);
    this.by_handle.delete(event.handle);
    answer.handles.delete(choice.choice);
    return true;
  }

  touch(answer: LiveAnswer): void {
    this.dirty.add(answer);
  }

  /**
   * One batch for each answer that has news and credit. Returns the answers that are over and
   * were delivered whole; those that a full outbound queue refused stay dirty for the next flush.
   */
  flush(): readonly LiveAnswer[] {
    const over: LiveAnswer[] = [];
    for (const answer of this.dirty) {
      const batch = nextBatch(answer.log);
      if (batch !== undefined && !send(answer, batch)) continue;
      this.dirty.delete(answer);
      if (isDelivered(answer.log)) over.push(answer);
    }
    return over;
  }

  get has_unsent(): boolean {
    return this.dirty.size > 0;
  }
}

function send(answer: LiveAnswer, batch: TokenBatch): boolean {
  if (answer.consumer.tell(batch)) return true;
  unsend(answer.log, batch);
  return false;
}
