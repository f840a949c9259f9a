/** What became of a row's requests, as the figures of the table. */
import type { FlockOutcome } from "./flock.ts";
import { isBeginningOf, isWhole, type Ledger } from "./ledger.ts";
import type { AnswerWish } from "./references.ts";

export type Tally = {
  readonly requests: number;
  readonly complete: number;
  /** Ended by the server with an error that says so, where no more was promised. */
  readonly clean_errors: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly hung: number;
  /** Answers with other bytes than undisturbed, or tokens that the cursor skipped. */
  readonly wrong: number;
  /** Complete answers with the bytes of the undisturbed one. */
  readonly same: number;
  /** Longest time between two tokens of one answer. */
  readonly gap_ms: number;
  /** Longest time from a request to its first token. */
  readonly first_ms: number;
  readonly resumed: number;
  readonly retried: number;
  /** What the lost and the hung ones ended with, and how often. */
  readonly why: Readonly<Record<string, number>>;
};

export type TallyRules = {
  /** Texts of the undisturbed answer; undefined: of somebody else's engine, not known. */
  readonly expected: ((wish: AnswerWish) => Promise<readonly string[]>) | undefined;
  /**
   * A real model's logits differ in the last bits between batch shapes, so an answer may take
   * another way; what is promised is that nothing is lost or twice. Most answers are the same.
   */
  readonly bytes_may_differ: boolean;
  /** An error that the server tells is within what was promised; so is a connection that ends. */
  readonly errors_allowed: boolean;
};

export async function tally(
  outcomes: readonly FlockOutcome[],
  { expected, errors_allowed, bytes_may_differ }: TallyRules,
): Promise<Tally> {
  const why: Record<string, number> = {};
  const count = {
    complete: 0,
    clean_errors: 0,
    lost: 0,
    duplicated: 0,
    hung: 0,
    wrong: 0,
    same: 0,
  };
  let gap_ms = 0;
  let first_ms = 0;
  for (const outcome of outcomes) {
    const { ledger, wish } = outcome;
    const half = halfOf(outcome);
    const state = half === undefined ? outcome.state : "failed";
    count.duplicated += ledger.duplicated;
    gap_ms = Math.max(gap_ms, ledger.gap_ms);
    first_ms = Math.max(first_ms, (ledger.first_ms ?? outcome.ended_ms) - outcome.sent_ms);
    const texts = await expected?.(wish);
    if (state === "complete") count.complete += 1;
    else if (state === "hung") count.hung += 1;
    else if (errors_allowed && half === undefined) count.clean_errors += 1;
    else count.lost += 1;
    if (state !== "complete") {
      const words = (half ?? outcome.why).replace(/[\w-]{20,}/g, "ID").slice(0, 160);
      const text = `${state} ${outcome.status || ""} ${words}`;
      why[text] = (why[text] ?? 0) + 1;
    }
    if (texts !== undefined && state === "complete" && isWhole(ledger, texts)) count.same += 1;
    const problem = wrongness({ ...outcome, state }, bytes_may_differ ? undefined : texts);
    if (problem === undefined) continue;
    count.wrong += 1;
    why[problem] = (why[problem] ?? 0) + 1;
  }
  const sum = (of: (outcome: FlockOutcome) => number) => outcomes.reduce((a, b) => a + of(b), 0);
  return {
    requests: outcomes.length,
    ...count,
    gap_ms,
    first_ms,
    resumed: sum(({ resumed }) => resumed),
    retried: sum(({ retried }) => retried),
    why,
  };
}

/** A server that lost the rest and says [DONE] all the same sends neither of the two. */
function halfOf({ ledger, state }: FlockOutcome): string | undefined {
  if (state !== "complete") return undefined;
  const open = ledger.choices.some(({ finish }) => finish === undefined);
  if (open) return "half an answer, ended as if it were whole: no finish_reason";
  return ledger.completion_tokens === undefined ? "an answer without usage" : undefined;
}

function wrongness(
  { ledger, state, wish }: FlockOutcome,
  texts: readonly string[] | undefined,
): string | undefined {
  if (ledger.skipped > 0) return "a cursor moved by more than the tokens that came with it";
  if (texts !== undefined && !isBeginningOf(ledger, texts)) return "other bytes than undisturbed";
  if (state !== "complete") return undefined;
  if (texts !== undefined && !isWhole(ledger, texts)) return "a complete answer is too short";
  const usage = ledger.completion_tokens;
  if (wish.json === true) return wrongJson(ledger);
  if (usage !== wish.tokens * wish.choices) {
    return `usage says ${usage} of ${wish.tokens * wish.choices} tokens`;
  }
  const counted = ledger.choices.every(({ delivered }) => delivered === wish.tokens);
  // What the store gives again of a response has numbers, which were counted.
  const cursors = ledger.last_id !== "" && ledger.response === "";
  return cursors && !counted ? "the last cursor is not the answer's length" : undefined;
}

function wrongJson({ choices, completion_tokens }: Ledger): string | undefined {
  const delivered = choices.reduce((sum, choice) => sum + choice.delivered, 0);
  if (delivered !== completion_tokens) return "usage is not what the cursors counted";
  for (const { text, finish } of choices) {
    if (finish !== "stop") return `a form that is not complete: ${finish}`;
    try {
      JSON.parse(text);
    } catch {
      return "an answer that does not parse";
    }
  }
  return undefined;
}
