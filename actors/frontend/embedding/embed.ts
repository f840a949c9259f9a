/**
 * Vectors of one request: one plan from the router, one ask to the worker that it names, and the
 * same again at another worker when that one cannot.
 *
 * This is not the stream's reducer (actors/stream/reducer.ts), because an embedding is one reply.
 * No client has a part of it, so it never moves or resumes, needs no credit, and makes no worker a
 * suspect; what is left is the loop below. How often it tries, and after
 * which refusals, is the stream's own table (actors/stream/elsewhere.ts).
 */
import type {
  ActorRef,
  Embeddings,
  Plan,
  PoolKind,
  RefusalCode,
  Refused,
  Route,
  RouteHints,
  RouteOutcome,
  RouterMessage,
  WorkerMessage,
} from "../../../proto/index.ts";
import type { AskOptions } from "../../../runtime/kernel/ask.ts";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";
import { answerLeg, workerKey } from "../../names/names.ts";
import {
  ROUTER_AGAIN_MS,
  ROUTER_ASKS,
  refusalsElsewhere,
  WORKERS_ASKED,
} from "../../stream/stream.ts";
import { pause } from "../pause.ts";

export type EmbedRequest = {
  readonly request: string;
  readonly model: string;
  readonly inputs: readonly Uint32Array[];
  readonly pool: PoolKind;
  readonly deadline_ms: number;
  readonly pin: string;
  readonly hints?: RouteHints | undefined;
};

export type EmbedHandle = {
  /** Never rejects. */
  readonly result: Promise<Embeddings | Refused>;
  abandon(reason: string): void;
};

export type StartEmbedding = (
  request: EmbedRequest,
  trace: TraceContext | undefined,
) => EmbedHandle;

export type EmbedPeers = {
  readonly system: ActorSystem;
  /** The router to ask now; undefined while it is between two lives. */
  readonly router: () => Ref<RouterMessage> | undefined;
  /** The actor whose end ends every request here. */
  readonly asker?: () => ActorRef | undefined;
  /** Requests on their way; kept up to date here. */
  readonly live: Set<string>;
  /** Finds the worker that a plan names. */
  readonly resolve: (wire: ActorRef) => Ref<WorkerMessage>;
};

export function embedThrough(peers: EmbedPeers): StartEmbedding {
  return (request, trace) => {
    const attempt = new EmbedAttempt(peers, request, trace);
    return { result: attempt.run(), abandon: () => attempt.abandon() };
  };
}

type Planned = { readonly router: Ref<RouterMessage>; readonly plan: Plan | Refused };

/** The worker refused or was lost, and another one may take the request. */
type Lost = { readonly kind: "lost"; readonly refusal: Refused };

class EmbedAttempt {
  readonly #peers: EmbedPeers;
  readonly #request: EmbedRequest;
  readonly #trace: TraceContext | undefined;
  readonly #late_at_ms: number;
  /** Keys of the workers that refused it. */
  readonly #excluded: string[] = [];
  /** The refusal of the last of them. */
  #refusal: Refused | undefined;
  #worker: Ref<WorkerMessage> | undefined;
  #abandoned = false;

  constructor(peers: EmbedPeers, request: EmbedRequest, trace: TraceContext | undefined) {
    this.#peers = peers;
    this.#request = request;
    this.#trace = trace;
    this.#late_at_ms = peers.system.capabilities.clock.now_ms() + request.deadline_ms;
  }

  async run(): Promise<Embeddings | Refused> {
    const { request } = this.#request;
    this.#peers.live.add(request);
    try {
      for (let tries = 1; ; tries++) {
        const answer = await this.#try();
        // No part of it exists anywhere, so another worker can make all of it.
        if (answer.kind === "lost" && tries < WORKERS_ASKED && !this.#abandoned) continue;
        return answer.kind === "lost" ? answer.refusal : answer;
      }
    } catch (error) {
      if (!(error instanceof AskError)) throw error;
      if (error.code === "mailbox_full") {
        const full = "More waits for the worker of these embeddings than it can take. Try again.";
        return refused(request, "queue_full", full);
      }
      const code = error.code === "deadline" ? "deadline" : "worker_lost";
      const message =
        code === "deadline"
          ? "These embeddings took longer than a request may. Send fewer inputs at once."
          : "The worker of these embeddings was lost. Send the request again.";
      return refused(request, code, message);
    } finally {
      this.#peers.live.delete(request);
    }
  }

  async #try(): Promise<Embeddings | Refused | Lost> {
    const { request, model, inputs, pool } = this.#request;
    const planned = await this.#plan();
    if (planned === undefined) {
      const message =
        "The router is being restarted and does not answer. Try again in a few seconds.";
      return refused(request, "no_worker", message);
    }
    const { router, plan } = planned;
    // The last worker's refusal says more than that no other worker is left.
    if (plan.kind === "refused") return this.#refusal ?? plan;
    const { worker, ref } = answerLeg(plan);
    const end = (outcome: RouteOutcome) =>
      router.tell({ kind: "route_ended", request, worker, outcome, output_tokens: 0 });
    if (this.#abandoned || ref === undefined) {
      end("cancelled");
      return refused(request, "cancelled", "The client left.");
    }
    // Embeddings have a queue of their own at the worker, so this one delays no prompt there.
    router.tell({ kind: "route_first", request });
    const { system, resolve } = this.#peers;
    this.#worker = resolve(ref);
    try {
      const answer = await system.ask(
        this.#worker,
        { kind: "embed", request, model, pool, inputs: inputs.map(littleEndian), ...this.#asker() },
        this.#options(),
      );
      const elsewhere = answer.kind === "refused" && refusalsElsewhere[answer.code] !== undefined;
      const failed = answer.kind === "refused" && answer.code === "engine_error";
      end(failed ? "failed" : answer.kind === "refused" ? "refused" : "finished");
      if (!elsewhere) return answer;
      this.#excluded.push(workerKey(worker, ref));
      this.#refusal = answer;
      return { kind: "lost", refusal: answer };
    } catch (error) {
      const gone = error instanceof AskError && error.code === "down";
      end(gone ? "lost" : "failed");
      if (!gone) throw error;
      const message = "The worker of these embeddings was lost. Send the request again.";
      return { kind: "lost", refusal: refused(request, "worker_lost", message) };
    }
  }

  /** Asks the present router until one answers; undefined: none did in time. */
  async #plan(): Promise<Planned | undefined> {
    const { system } = this.#peers;
    const { clock } = system.capabilities;
    for (let tries = 0; tries < ROUTER_ASKS && !this.#abandoned; tries++) {
      const router = this.#peers.router();
      try {
        if (router !== undefined) {
          return { router, plan: await system.ask(router, this.#route(), this.#options()) };
        }
      } catch (error) {
        if (!(error instanceof AskError) || error.code === "deadline") throw error;
        const other = this.#peers.router();
        if (other !== undefined && other !== router) continue;
      }
      if (clock.now_ms() >= this.#late_at_ms) return undefined;
      await pause(clock, ROUTER_AGAIN_MS);
    }
    return undefined;
  }

  #route(): Route {
    const { request, model, inputs, pin, hints } = this.#request;
    return {
      kind: "route",
      request,
      model,
      prompt: inputs[0] === undefined ? new Uint8Array() : littleEndian(inputs[0]),
      max_tokens: 0,
      exclude: [...this.#excluded],
      pin,
      continued: false,
      spare: false,
      ...this.#asker(),
      ...(hints === undefined ? {} : { hints }),
    };
  }

  #asker(): { readonly asker?: ActorRef } {
    const asker = this.#peers.asker?.();
    return asker === undefined ? {} : { asker };
  }

  #options(): AskOptions {
    const left_ms = this.#late_at_ms - this.#peers.system.capabilities.clock.now_ms();
    const deadline_ms = Math.max(0, left_ms);
    return this.#trace === undefined ? { deadline_ms } : { deadline_ms, trace: this.#trace };
  }

  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#worker?.tell({ kind: "cancel", request: this.#request.request, choices: [] });
  }
}

/** A refusal made at this door. */
export function refused(request: string, code: RefusalCode, message: string): Refused {
  return { kind: "refused", request, code, message, retry_after_ms: 0 };
}

/** u32 little endian each, as the wire wants them; every host of ours is little endian. */
function littleEndian(tokens: Uint32Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}
