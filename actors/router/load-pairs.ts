/** Prefill workers in the modes that look at load alone: chosen as the workers that answer are. */
import type { PlanLeg, Route } from "../../proto/index.ts";
import type { Random } from "../../runtime/capabilities.ts";
import { type Candidate, legOf } from "./candidate.ts";
import { eligible, type LoadMode, newPolicyState, policies } from "./policy/load-modes.ts";
import { handedTokens } from "./policy/pairs/conditional.ts";
import { canShare, sharersWith } from "./policy/pairs/sharing.ts";
import type { RouterOptions } from "./router-options.ts";
import type { WorkerSet } from "./worker-set.ts";

export class LoadPairs {
  readonly #mode: LoadMode;
  readonly #enforce: boolean;
  readonly #state = newPolicyState();
  /** Where the prompts of requests are computed, until they are. */
  readonly #placed = new Map<string, Candidate>();

  constructor(mode: LoadMode, { policy }: Pick<RouterOptions, "policy">) {
    // A request names the worker that answers; nobody names one for the prompt.
    this.#mode = mode === "direct" ? "least-loaded" : mode;
    this.#enforce = policy?.enforce_disagg ?? false;
  }

  /** False: its prompt has to be computed elsewhere, and there is nobody who does. */
  mayGo(workers: WorkerSet, route: Route, answers: Candidate): boolean {
    const named = route.hints?.prefill_worker ?? "";
    if (named === answers.worker) return true;
    if (named === "" && !this.#enforce) return true;
    return workers
      .byRole()
      .prefilling.filter(({ worker }) => named === "" || named === worker)
      .some(({ sharer }) => canShare(answers.sharer, sharer));
  }

  /** Undefined: the worker that answers computes the prompt by itself. */
  begin(
    workers: WorkerSet,
    route: Route,
    answers: Candidate,
    random: Random,
    now_ms: number,
  ): PlanLeg | undefined {
    this.end(route.request);
    const { prefilling } = workers.byRole();
    if (prefilling.length === 0 || route.whole === true || route.max_tokens === 0) return undefined;
    const block_size = answers.record.card?.block_size ?? 0;
    const tokens = block_size > 0 ? handedTokens(route.prompt.length >>> 2, block_size) : 0;
    if (tokens === 0) return undefined;
    const named = route.hints?.prefill_worker ?? "";
    if (named === answers.worker) return undefined;
    const sharing =
      named === ""
        ? sharersWith(answers, prefilling)
        : prefilling.filter(({ worker, sharer }) => {
            return worker === named && canShare(answers.sharer, sharer);
          });
    // The worker that a client pins is the one that answers.
    const asked = { ...route, pin: "" };
    const may = eligible(sharing, asked, now_ms);
    if (may.kind === "refused") return undefined;
    const choice = policies[this.#mode](may.candidates, asked, random, this.#state);
    if (choice.kind === "refused") return undefined;
    this.#placed.set(route.request, choice.candidate);
    choice.candidate.in_flight++;
    return { ...legOf(choice.candidate), tokens };
  }

  /** The prompt is computed, or will not be there. Returns its worker; undefined: it had none. */
  end(request: string): Candidate | undefined {
    const candidate = this.#placed.get(request);
    if (candidate === undefined) return undefined;
    this.#placed.delete(request);
    candidate.in_flight--;
    return candidate;
  }
}
