/**
 * One beginning for requests that carry the same Idempotency-Key, whichever doors they come to: the
 * doors agree on a few workers by the answer's id alone, and those say who is the first. A claim
 * lasts as long as its request and its door.
 */
import type { ActorRef, Claim, WorkerMessage } from "../../../proto/index.ts";
import type { Ids } from "../../../runtime/capabilities.ts";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { KnownWorker } from "../models/models.ts";
import { digest } from "./digest.ts";
import type { WorkerPeers } from "./find-held.ts";

/** What one request does to be the only one that begins its answer. */
export interface AnswerClaim {
  /** True: nobody else is beginning it. May be asked again until it is. */
  isFirst(): Promise<boolean>;
  /** Whatever it has is given back; a claim of somebody else stays. May be called twice. */
  release(): void;
}

export interface Claims {
  of(answer: string): AnswerClaim;
}

/** A worker that says nothing is passed over by every door. */
const ANSWER_MS = 1_000;
/**
 * So many workers know of each claim: the first of them decides, and should it be lost, or another
 * one come before it in the order, one of the others still knows.
 */
const KEEPERS = 3;
/** Those are alive beside one that has answered, or are passed over sooner. */
const OTHERS_MS = 250;
/** A worker that cannot be told that a claim is over is told again, until it is lost itself. */
const RELEASE_AGAIN_MS = 1_000;
const RELEASE_TRIES = 60;

export type ClaimPeers = WorkerPeers & {
  readonly ids: Ids;
  /** Whose life bounds every claim that is made here. */
  readonly claimer: () => ActorRef;
};

export function claimsOver(peers: ClaimPeers): Claims {
  return { of: (answer) => new HeldClaim(peers, answer) };
}

type Asked = { readonly keeper: Ref<WorkerMessage>; readonly claim: string };

class HeldClaim implements AnswerClaim {
  readonly #peers: ClaimPeers;
  readonly #answer: string;
  /** Whoever may have it written down, though it did not say so in time. */
  #asked: Asked[] = [];

  constructor(peers: ClaimPeers, answer: string) {
    this.#peers = peers;
    this.#answer = answer;
  }

  /** All doors ask in one order, so that of two that ask at once one gets past the first keeper. */
  async isFirst(): Promise<boolean> {
    const { system, resolve, workers, ids } = this.#peers;
    // A name of its own for each time: what is given back late is not what is held by then.
    const claim = ids.next();
    let deadline_ms = ANSWER_MS;
    for (const { ref } of ranked(workers(), this.#answer).slice(0, KEEPERS)) {
      const keeper = resolve(ref);
      this.#asked.push({ keeper, claim });
      try {
        const { first } = await system.ask(keeper, this.#message(claim, false), { deadline_ms });
        deadline_ms = OTHERS_MS;
        if (first) continue;
        // Who waits must not hold what the other one may need.
        this.release();
        return false;
      } catch {
        // It is dead or frozen; the next one speaks for it.
      }
    }
    return true;
  }

  release(): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const each of asked) void this.#giveBack(each);
  }

  async #giveBack({ keeper, claim }: Asked): Promise<void> {
    const { system } = this.#peers;
    const { clock } = system.capabilities;
    for (let tries = 0; tries < RELEASE_TRIES; tries += 1) {
      try {
        await system.ask(keeper, this.#message(claim, true), { deadline_ms: ANSWER_MS });
        return;
      } catch (error) {
        // With its end it has forgotten the claim.
        if (error instanceof AskError && error.code === "down") return;
      }
      await new Promise<void>((resolve) => void clock.after(RELEASE_AGAIN_MS, resolve));
    }
  }

  #message(claim: string, over: boolean): Claim {
    const claimer = this.#peers.claimer();
    return { kind: "claim", answer: this.#answer, claim, claimer, over };
  }
}

/** Rendezvous hashing: every door ranks the same workers alike. */
function ranked(workers: readonly KnownWorker[], answer: string): readonly KnownWorker[] {
  return workers
    .map((known) => ({ known, rank: digest(`${answer}\n${known.worker}`) }))
    .sort((a, b) => (a.rank < b.rank ? 1 : -1))
    .map(({ known }) => known);
}
