/**
 * Which blocks are offered to the machine that owns them. NVIDIA Dynamo's words: `eager` offers each
 * block once it is kept here, `after_first_reuse` the second time somebody wants it, `disabled` none.
 * Pure.
 */
export const admissionPolicies = ["after_first_reuse", "eager", "disabled"] as const;
export type AdmissionPolicy = (typeof admissionPolicies)[number];

export type Offered = { readonly hash: bigint; readonly parent: bigint };

/** Beyond that the oldest is forgotten, and may be offered again. */
const KNOWN_MOST = 65_536;
/** Waiting to be offered; what comes beyond is not offered this time. */
const WAITING_MOST = 4096;

export class Offering {
  readonly #policy: AdmissionPolicy;
  /** Offered already, oldest first. */
  readonly #known = new Set<bigint>();
  readonly #waiting = new Map<bigint, Offered>();

  constructor(policy: AdmissionPolicy) {
    this.#policy = policy;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** It is kept here from now on. */
  registered(block: Offered): void {
    if (this.#policy === "eager") this.#add(block);
  }

  /** Somebody found it here. */
  reused(block: Offered): void {
    if (this.#policy === "after_first_reuse") this.#add(block);
  }

  /** The next ones to offer, at most `most`, oldest first. */
  take(most: number): readonly Offered[] {
    const taken: Offered[] = [];
    for (const block of this.#waiting.values()) {
      if (taken.length >= most) break;
      taken.push(block);
    }
    for (const { hash } of taken) this.#waiting.delete(hash);
    return taken;
  }

  #add(block: Offered): void {
    const { hash } = block;
    if (this.#known.has(hash) || this.#waiting.size >= WAITING_MOST) return;
    this.#known.add(hash);
    if (this.#known.size > KNOWN_MOST) {
      for (const oldest of this.#known) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#waiting.set(hash, block);
  }
}
