/**
 * Who of those that want to begin the same answer may: the first. A claim ends with its claimer,
 * when it is given back, or after its time; it says nothing of answers that are made already.
 */
export type ClaimHost = {
  readonly now_ms: () => number;
  readonly demonitor: (monitor: number) => void;
};

type Held = { readonly monitor: number; readonly until_ms: number };

/** Beyond this many the oldest go: their requests have long begun. */
const CLAIMS_MAX = 4_096;

export class Claims {
  private readonly host: ClaimHost;
  /** Oldest first. */
  private readonly by_answer = new Map<string, Held>();
  private readonly by_monitor = new Map<number, string>();

  constructor(host: ClaimHost) {
    this.host = host;
  }

  get count(): number {
    return this.by_answer.size;
  }

  /** True: whoever claims is the first. `watch` monitors it, and is called only then. */
  claim(answer: string, ttl_ms: number, watch: () => number): boolean {
    const now_ms = this.host.now_ms();
    const held = this.by_answer.get(answer);
    if (held !== undefined && held.until_ms > now_ms) return false;
    this.release(answer);
    const monitor = watch();
    this.by_answer.set(answer, { monitor, until_ms: now_ms + ttl_ms });
    this.by_monitor.set(monitor, answer);
    for (const oldest of this.by_answer.keys()) {
      if (this.by_answer.size <= CLAIMS_MAX) break;
      this.release(oldest);
    }
    return true;
  }

  release(answer: string): void {
    const held = this.by_answer.get(answer);
    if (held === undefined) return;
    this.by_answer.delete(answer);
    this.by_monitor.delete(held.monitor);
    this.host.demonitor(held.monitor);
  }

  /** A monitored claimer ended; false when the monitor is none of ours. */
  claimerGone(monitor: number): boolean {
    const answer = this.by_monitor.get(monitor);
    if (answer === undefined) return false;
    this.by_monitor.delete(monitor);
    this.by_answer.delete(answer);
    return true;
  }
}
