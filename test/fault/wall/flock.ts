/** Many clients at once, their requests made from a seed, and a look at how far they all are. */
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { type ClientRequest, type Outcome, runClient } from "./client.ts";
import type { Exchange } from "./exchange.ts";
import type { Ledger } from "./ledger.ts";
import { type AnswerWish, streamOf } from "./references.ts";

export type FlockPlan = {
  readonly url: () => string;
  readonly model?: string;
  readonly requests: number;
  /** At most so many at once. */
  readonly concurrency: number;
  readonly tokens: number;
  /** Words in each prompt. */
  readonly prompt_words: number;
  /** So many different prompts, again and again; default: no two are alike. */
  readonly prompts?: number;
  readonly choices: number;
  readonly api?: AnswerWish["api"];
  readonly json?: boolean;
  /** Distinct seeds, so distinct answers. */
  readonly seeds: number;
  readonly resumes: boolean;
  readonly retries: boolean;
  readonly deadline_ms: number;
  /** One logprob a token, so that cursors can be counted where texts are not known. */
  readonly logprobs: boolean;
  /** The first ones start so far apart; then each client sends its next when its last ended. */
  readonly every_ms?: number;
  /** Instead: requests start at this rate whatever becomes of them, while there are clients. */
  readonly per_s?: number;
  readonly onEvent?: (index: number, ledger: Ledger, exchange: Exchange) => void;
};

export type FlockOutcome = Outcome & { readonly wish: AnswerWish };

export class Flock {
  readonly plan: FlockPlan;
  readonly ended: Promise<readonly FlockOutcome[]>;
  /** Of those that have begun. */
  readonly ledgers = new Map<number, Ledger>();
  started = 0;
  finished = 0;
  /** No more requests are started. */
  stopping = false;

  constructor(plan: FlockPlan) {
    this.plan = plan;
    this.ended = this.#run();
  }

  /** Tokens that have come, over all answers. */
  get tokens(): number {
    let sum = 0;
    for (const { choices } of this.ledgers.values()) {
      for (const { delivered } of choices) sum += delivered;
    }
    return sum;
  }

  /** How many answers have at least `tokens` tokens of their first choice. */
  reached(tokens: number): number {
    let count = 0;
    for (const { choices } of this.ledgers.values()) {
      if ((choices[0]?.delivered ?? 0) >= tokens) count += 1;
    }
    return count;
  }

  /** Longest time between two tokens of one answer since this was last asked. */
  takeGap_ms(): number {
    let longest_ms = 0;
    for (const ledger of this.ledgers.values()) {
      longest_ms = Math.max(longest_ms, ledger.gap_ms);
      ledger.gap_ms = 0;
    }
    return longest_ms;
  }

  async #run(): Promise<readonly FlockOutcome[]> {
    const { requests, concurrency, every_ms, per_s } = this.plan;
    const outcomes: FlockOutcome[] = [];
    const one = async (): Promise<void> => {
      const index = this.started++;
      outcomes[index] = await this.#one(index);
      this.finished += 1;
    };
    if (per_s !== undefined) {
      const began_ms = performance.now();
      const running = new Set<Promise<void>>();
      while (this.started < requests && !this.stopping) {
        const due = Math.floor(((performance.now() - began_ms) / 1000) * per_s);
        while (this.started < Math.min(due, requests) && running.size < concurrency) {
          const client: Promise<void> = one().finally(() => running.delete(client));
          running.add(client);
        }
        await Bun.sleep(5);
      }
      await Promise.all(running);
      return outcomes;
    }
    const lane = async (): Promise<void> => {
      while (this.started < requests && !this.stopping) await one();
    };
    const lanes: Promise<void>[] = [];
    for (let i = 0; i < Math.min(concurrency, requests); i += 1) {
      lanes.push(lane());
      if (every_ms !== undefined) await Bun.sleep(every_ms);
    }
    await Promise.all(lanes);
    return outcomes;
  }

  async #one(index: number): Promise<FlockOutcome> {
    const { plan } = this;
    const prompt = promptOf(index % (plan.prompts ?? plan.requests), plan.prompt_words);
    const { tokens, choices, api, json } = plan;
    const wish = { prompt, seed: index % plan.seeds, tokens, choices, api, json };
    const { path, body } = streamOf(wish, plan.model);
    const request: ClientRequest = {
      url: plan.url,
      path,
      body: plan.logprobs ? { ...body, logprobs: true } : body,
      choices: plan.choices,
      resumes: plan.resumes,
      retries: plan.retries,
      deadline_ms: plan.deadline_ms,
      onEvent: (ledger, exchange) => {
        this.ledgers.set(index, ledger);
        plan.onEvent?.(index, ledger, exchange);
      },
    };
    return { ...(await runClient(request)), wish };
  }
}

const syllables = ["ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "ba", "du"];

/** Different for each index from its first word on, so that no cache makes two of them alike. */
function promptOf(index: number, words: number): string {
  const random = new SeededRandom(index + 1);
  const word = () => (syllables[random.u32() % 10] ?? "") + (syllables[random.u32() % 10] ?? "");
  return `${index} ${Array.from({ length: words }, word).join(" ")}`;
}
