/**
 * Failure detector of an answer: when its worker has been quiet for too long. Quiet alone proves
 * nothing, since another prompt or a full cache may hold an answer up: the worker is asked first.
 * Lost tokens are fetched. A worker is given up if it does not answer, does not know the answer, or
 * its engine makes no pass. A worker without room is left if another one has room to spare.
 */
export type StallWatch = {
  /** Tokens that have to be computed before the first one is there. */
  readonly prompt_tokens: number;
  /** When the last token came, or when the first one was allowed to come. */
  quiet_since_ms: number;
  /** Time between two batches: running mean and the longest; 0 before there were two. */
  gap_ms: number;
  longest_ms: number;
  first: boolean;
  /** Passes of the engine as the worker said, and since when the number is the same. */
  passes: number;
  passes_since_ms: number;
  /** How often in a row the worker had no room for all its answers. */
  starved: number;
};

export type ProbeResult = {
  readonly known: boolean;
  readonly sent: number;
  readonly passes: number;
  /** Sequences that the engine has no room for. */
  readonly waiting: number;
};

/** Least bound: a prompt in the same batch holds every answer up for this long. */
const FLOOR_MS = 1_000;
const GAPS = 30;
const LONGEST_GAPS = 3;
/** Least bound before the first token, for a queue and for a prompt on a slow machine. */
const FIRST_FLOOR_MS = 2_000;
const PROMPT_TOKEN_MS = 2;
/** An engine may take long for one pass (a large model, a long prompt), but not for ever. */
const STUCK_FLOOR_MS = 10_000;
const STUCK_PROMPT_TOKEN_MS = 50;
const NEW_GAP_SHARE = 0.125;
const STARVED_DOUBLINGS = 4;

export function newStallWatch(prompt_tokens: number, now_ms: number): StallWatch {
  return {
    prompt_tokens,
    quiet_since_ms: now_ms,
    gap_ms: 0,
    longest_ms: 0,
    first: true,
    passes: -1,
    passes_since_ms: now_ms,
    starved: 0,
  };
}

/** Tokens came. */
export function tokensCame(watch: StallWatch, now_ms: number): void {
  const gap_ms = now_ms - watch.quiet_since_ms;
  watch.quiet_since_ms = now_ms;
  watch.starved = 0;
  if (watch.first) {
    watch.first = false;
    return;
  }
  watch.gap_ms += (watch.gap_ms === 0 ? 1 : NEW_GAP_SHARE) * (gap_ms - watch.gap_ms);
  if (gap_ms > watch.longest_ms) watch.longest_ms = gap_ms;
}

/** Tokens may come again: until now there was no credit. */
export function restartQuiet(watch: StallWatch, now_ms: number): void {
  watch.quiet_since_ms = now_ms;
}

/** How long it may be quiet before the worker is asked. */
export function boundMs(watch: StallWatch): number {
  if (watch.first) return FIRST_FLOOR_MS + PROMPT_TOKEN_MS * watch.prompt_tokens;
  return Math.max(FLOOR_MS, GAPS * watch.gap_ms, LONGEST_GAPS * watch.longest_ms);
}

/** Time to the next look; it doubles each time that the worker is found starved. */
export function lookAgainMs(watch: StallWatch): number {
  return boundMs(watch) * 2 ** Math.min(watch.starved, STARVED_DOUBLINGS);
}

/**
 * `missing`: tokens that it sent did not come, or it has no reader; it may send them again.
 * `starved`: its engine works, and has no room for this answer.
 */
export type StallFinding = {
  readonly what: "missing" | "stuck" | "starved";
  readonly detail: string;
};

/**
 * The finding from the worker's reply; undefined: nothing is wrong. `received`: tokens that came
 * from this worker. A reply does not overtake tokens, so each token sent is here or lost.
 */
export function whyStalled(
  watch: StallWatch,
  probe: ProbeResult,
  received: number,
  now_ms: number,
): StallFinding | undefined {
  if (!probe.known) return { what: "missing", detail: "it does not know this answer any more" };
  if (probe.sent > received) {
    const detail = `${probe.sent - received} of its tokens were lost on the way`;
    return { what: "missing", detail };
  }
  if (probe.passes !== watch.passes) {
    watch.passes = probe.passes;
    watch.passes_since_ms = now_ms;
    if (probe.waiting === 0) return undefined;
    watch.starved++;
    return { what: "starved", detail: `${probe.waiting} wait in its engine` };
  }
  const stuck_ms = now_ms - watch.passes_since_ms;
  const most_ms =
    Math.max(STUCK_FLOOR_MS, boundMs(watch)) +
    (watch.first ? STUCK_PROMPT_TOKEN_MS * watch.prompt_tokens : 0);
  if (stuck_ms < most_ms) return undefined;
  return { what: "stuck", detail: `its engine has made no step for ${Math.round(stuck_ms)} ms` };
}
