/** Drives an engine, threaded or stepped, until given answers have ended. */

import type {
  Engine,
  EngineEvent,
  EngineRequest,
  Sampling,
  TokenLogprob,
} from "../../../actors/engine/engine.ts";

export const GREEDY: Sampling = {
  temperature: 0,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
  repetition_penalty: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: [],
  seed: 1n,
};

export type Finished = Extract<EngineEvent, { kind: "finished" }>;

export type Answer = {
  readonly tokens: number[];
  readonly logprobs: TokenLogprob[];
  /** Of the prompt. */
  readonly scores: TokenLogprob[];
  /** Every rule an event sequence broke: order, gaps, events after the end. */
  readonly faults: string[];
  first_index: number | undefined;
  first_score: number | undefined;
  finished: Finished | undefined;
  embedding: Float32Array | undefined;
};

/** A request for `max_tokens` greedy tokens after `tokens`; `more` overrides. */
export function request(
  handle: number,
  tokens: readonly number[],
  max_tokens: number,
  more: Partial<EngineRequest> = {},
): EngineRequest {
  return {
    handle,
    tokens: Uint32Array.from(tokens),
    prompt_tokens: tokens.length,
    choice: 0,
    sampling: GREEDY,
    max_tokens,
    min_tokens: 0,
    stop_tokens: [],
    ignore_eos: true,
    logprobs: -1,
    ...more,
  };
}

/** Collects what an engine says, by handle. One driver per engine. */
export class EngineDriver {
  readonly answers = new Map<number, Answer>();
  #wake: () => void = () => {};

  constructor(readonly engine: Engine) {
    engine.onWake(() => this.#wake());
  }

  answer(handle: number): Answer {
    let answer = this.answers.get(handle);
    if (!answer) {
      answer = {
        tokens: [],
        logprobs: [],
        scores: [],
        faults: [],
        first_index: undefined,
        first_score: undefined,
        finished: undefined,
        embedding: undefined,
      };
      this.answers.set(handle, answer);
    }
    return answer;
  }

  #take(event: EngineEvent): void {
    const answer = this.answer(event.handle);
    if (answer.finished || answer.embedding) answer.faults.push(`${event.kind} after the end`);
    if (event.kind === "embedding") {
      answer.embedding = event.values;
    } else if (event.kind === "finished") {
      answer.finished = event;
    } else if (event.kind === "scores") {
      answer.first_score ??= event.first_index;
      const expected = answer.first_score + answer.scores.length;
      if (event.first_index !== expected) {
        answer.faults.push(`score ${event.first_index} in place of ${expected}`);
      }
      if (answer.tokens.length > 0) answer.faults.push("a score behind a token");
      answer.scores.push(...event.scores);
    } else {
      answer.first_index ??= event.first_index;
      const expected = answer.first_index + answer.tokens.length;
      if (event.first_index !== expected) {
        answer.faults.push(`index ${event.first_index} in place of ${expected}`);
      }
      if (event.tokens.length === 0) answer.faults.push("an event without tokens");
      answer.tokens.push(...event.tokens);
      answer.logprobs.push(...(event.logprobs ?? []));
    }
  }

  /** Takes what is there; true when something was. */
  pump(limit = 1000): boolean {
    this.engine.step(0);
    const events = this.engine.poll(limit);
    if (events.length > limit) throw new Error(`poll(${limit}) gave ${events.length} events`);
    for (const event of events) this.#take(event);
    return events.length > 0;
  }

  /** Pumps until `done`, sleeping while the engine has nothing new. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (!this.pump() && !done()) await woken;
    }
  }

  /** Submits and waits for the end of each; throws when one is refused. */
  async run(requests: readonly EngineRequest[]): Promise<readonly Answer[]> {
    for (const r of requests) {
      this.answers.delete(r.handle);
      const refusal = this.engine.submit(r);
      if (refusal) throw new Error(`${refusal.code}: ${refusal.message}`);
    }
    const answers = requests.map((r) => this.answer(r.handle));
    await this.until(() => answers.every((answer) => answer.finished !== undefined));
    return answers;
  }
}
