/**
 * Requests whose answers have ended, until their lines are written: a bounded queue between the
 * answers and the writer. What does not fit is dropped and counted; no answer waits for a disk.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import type { AnswerUsage } from "../../stream/stream.ts";
import type { RequestContext } from "../http/request-context.ts";
import type { Prepared } from "../prompt/prepare-request.ts";
import type { RequestEntry } from "../requests/request-entry.ts";
import { factsOf } from "./facts-of.ts";
import type { RequestFacts } from "./trace-record.ts";

const QUEUE_MOST = 4_096;
/** Prompts and bodies that wait together, in tokens and characters or so. */
const WEIGHT_MOST = 16 * 1024 * 1024;

export class RequestTraces {
  readonly #clock: Clock;
  readonly #keeps_bodies: boolean;
  #queue: RequestFacts[] = [];
  #weight = 0;
  dropped = 0;

  constructor(clock: Clock, keeps_bodies: boolean) {
    this.#clock = clock;
    this.#keeps_bodies = keeps_bodies;
  }

  /** A request that is about to be answered: its entry's end becomes a line. */
  follow(
    entry: RequestEntry,
    context: Pick<RequestContext, "headers" | "key">,
    prepared: Prepared,
    body: object,
  ): void {
    const kept = this.#keeps_bodies ? body : undefined;
    entry.onEnd = (usage: AnswerUsage | undefined) => {
      const ended_ms = this.#clock.wall_ms();
      this.#add({ ...factsOf(entry, context, prepared, usage, ended_ms), body: kept });
    };
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** At least one, if there is one, and as many more as have so many tokens together. */
  take(tokens_most: number): readonly RequestFacts[] {
    let tokens = 0;
    let count = 0;
    for (const facts of this.#queue) {
      if (count > 0 && tokens + weightOf(facts) > tokens_most) break;
      tokens += weightOf(facts);
      count += 1;
    }
    this.#weight -= tokens;
    return this.#queue.splice(0, count);
  }

  #add(facts: RequestFacts): void {
    const weight = weightOf(facts);
    if (this.#queue.length >= QUEUE_MOST || this.#weight + weight > WEIGHT_MOST) {
      this.dropped += 1;
      return;
    }
    this.#weight += weight;
    this.#queue.push(facts);
  }
}

/** Beside its prompt each record is some hundred characters. */
const RECORD_WEIGHT = 256;
const weightOf = ({ prompt, body, input_tokens }: RequestFacts): number =>
  RECORD_WEIGHT + (prompt?.length ?? 0) + (body === undefined ? 0 : 4 * input_tokens);
