/**
 * When a stream that was promised tokens has been quiet for too long, as numbers. Quiet alone
 * proves nothing: a prompt of somebody else, or a full cache, may hold an answer up. So the worker
 * is asked first. What was lost on the way is fetched; one that does not answer, does not know the
 * answer, or whose engine makes no pass any more is given up. One that is alive but has more than
 * it has room for is left if another worker has some to spare.
 */
export type StallWatch = {
  /** Tokens that have to be computed before the first one is there. */
  readonly prompt_tokens: number;
  /** When a token came last, or was first allowed to come. */
  quiet_since_ms: number;
  /** Time between two batches: running mean and the longest; 0 before there were two. */
  gap_ms: number;
  longest_ms: number;
  first: boolean;
  /** What the worker said of its engine, and since when it says the same. */
  passes: number;
  passes_since_ms: number;
  /** How often in a row its worker had no room for all. */
  starved: number;
};

export type ProbeResult = {
  readonly known: boolean;
  readonly sent: number;
  readonly passes: number;
  /** Sequences that the engine has no room for. */
  readonly waiting: number;
};

/** Never below: a prompt that shares the batch holds every answer in it up for so long. */
const FLOOR_MS = 1_000;
const GAPS = 30;
const LONGEST_GAPS = 3;
/** Before the first token: a queue, and a prompt that slow machines take this long for. */
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

/** Tokens may come again: until now none were allowed to. */
export function restartQuiet(watch: StallWatch, now_ms: number): void {
  watch.quiet_since_ms = now_ms;
}

/** How long it may be quiet before the worker is asked. */
export function boundMs(watch: StallWatch): number {
  if (watch.first) return FIRST_FLOOR_MS + PROMPT_TOKEN_MS * watch.prompt_tokens;
  return Math.max(FLOOR_MS, GAPS * watch.gap_ms, LONGEST_GAPS * watch.longest_ms);
}

/** As long as nothing is wrong the worker is asked less and less often. */
export function lookAgainMs(watch: StallWatch): number {
  return boundMs(watch) * 2 ** Math.min(watch.starved, STARVED_DOUBLINGS);
}

/**
 * `missing`: what it sent did not come, or it has nobody to send it to; it may send it again.
 * `starved`: its engine works, on others.
 */
export type StallFinding = {
  readonly what: "missing" | "stuck" | "starved";
  readonly detail: string;
};

/**
 * What the worker's answer says; undefined: nothing is wrong. `received`: tokens that came from
 * this worker. Tokens overtake no answer, so what it has sent is here or lost.
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
