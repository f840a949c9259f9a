/**
 * One of all requests with the same Idempotency-Key, at any doors, begins the answer. Every door
 * computes the same few workers (keepers) from the answer's id, and the keepers say which request
 * is the first. Its claim lasts as long as the request and the door.
 */
import type { ActorRef, Claim, WorkerMessage } from "../../../proto/index.ts";
import type { Ids } from "../../../runtime/capabilities.ts";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { KnownWorker } from "../models/models.ts";
import { pause } from "../pause.ts";
import { digest } from "./digest.ts";
import type { WorkerPeers } from "./find-held.ts";

/** A request's claim to be the only one that begins its answer. */
export interface AnswerClaim {
  /** True: no other request is beginning the answer. May be called again until it is true. */
  isFirst(): Promise<boolean>;
  /** Gives back what it has, and no other request's claim. May be called twice. */
  release(): void;
}

export interface Claims {
  of(answer: string): AnswerClaim;
}

/** How long the first keeper is waited for; every door passes over a silent one. */
const ANSWER_MS = 1_000;
/**
 * Workers that know of each claim. The first of them decides. When that one is lost, or a new
 * worker comes before it in the order, the others still know the claim.
 */
const KEEPERS = 3;
/** How long the other keepers are waited for, once one has replied. */
const OTHERS_MS = 250;
/** A keeper that did not confirm the end of a claim is told again, until the keeper is lost. */
const RELEASE_AGAIN_MS = 1_000;
const RELEASE_TRIES = 60;

export type ClaimPeers = WorkerPeers & {
  readonly ids: Ids;
  /** The actor whose end ends every claim that is made here. */
  readonly claimer: () => ActorRef;
};

export function claimsOver(peers: ClaimPeers): Claims {
  return { of: (answer) => new HeldClaim(peers, answer) };
}

type Asked = { readonly keeper: Ref<WorkerMessage>; readonly claim: string };

class HeldClaim implements AnswerClaim {
  readonly #peers: ClaimPeers;
  readonly #answer: string;
  /** Keepers that may have recorded the claim, also those whose reply did not come in time. */
  #asked: Asked[] = [];

  constructor(peers: ClaimPeers, answer: string) {
    this.#peers = peers;
    this.#answer = answer;
  }

  /** All doors ask in the same order, so that one of two requests gets past the first keeper. */
  async isFirst(): Promise<boolean> {
    const { system, resolve, workers, ids } = this.#peers;
    // Each call has a name of its own, so that a late release does not end a later claim.
    const claim = ids.next();
    let deadline_ms = ANSWER_MS;
    for (const { ref } of ranked(workers(), this.#answer).slice(0, KEEPERS)) {
      const keeper = resolve(ref);
      this.#asked.push({ keeper, claim });
      try {
        const { first } = await system.ask(keeper, this.#message(claim, false), { deadline_ms });
        deadline_ms = OTHERS_MS;
        if (first) continue;
        // While it waits it holds no keeper, which the other request may need.
        this.release();
        return false;
      } catch {
        // This keeper is dead or frozen; the next one decides.
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
        // The keeper has ended, and its claims with it.
        if (error instanceof AskError && error.code === "down") return;
      }
      await pause(clock, RELEASE_AGAIN_MS);
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
