/** Admission: which requests a worker takes, and how they get into the engine. */
import type { Accepted, Embed, Generate, Refused } from "../../proto/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { Answers } from "./answers/answers.ts";
import type { Arrivals } from "./answers/arrivals.ts";
import type { EmbedJobs } from "./embed-jobs.ts";
import { engineRequests, goesOnBehind, isWellFormed } from "./engine-request.ts";
import type { Came } from "./kv/onboard.ts";
import type { Probation } from "./probation.ts";
import { type Refusal, refused } from "./refusal.ts";

export type AdmissionHost = {
  readonly engine: () => Engine;
  /** Name of the model that is served. */
  readonly model: () => string;
  readonly hasAdapter: (name: string) => boolean;
  readonly answers: Answers;
  readonly arrivals: Arrivals;
  readonly embeds: EmbedJobs;
  readonly probation: Probation;
  readonly answers_max: number;
  readonly isDraining: () => boolean;
  readonly nextHandle: () => number;
  /** Stops parts of a request that the engine took before it refused another part. */
  readonly cancel: (handles: readonly number[]) => void;
};

export class Admission {
  readonly #host: AdmissionHost;

  constructor(host: AdmissionHost) {
    this.#host = host;
  }

  /**
   * Puts a request into the engine. An accepted one is in it.
   * @param came what is there for it; undefined: this worker has no tiers
   */
  admit(generate: Generate, came?: Came): Accepted | Refused {
    const { engine, answers, probation, nextHandle, cancel } = this.#host;
    const { request, consumer: wire, sampling } = generate;
    const refusal = this.#whyNot(request, generate.model);
    if (refusal !== undefined) return refused(request, refusal);
    if (wire === undefined || sampling === undefined || !isWellFormed(generate)) {
      const message =
        "a generation needs a consumer, sampling parameters, choices with a number of their own " +
        "and whole tokens";
      return refused(request, { code: "bad_request", message });
    }
    const lacking = whatIsLacking(generate, engine);
    if (lacking !== undefined) {
      const message = `The engine of this model knows no ${lacking}. Send the request without.`;
      return refused(request, { code: "not_supported", message });
    }
    const { adapter } = generate;
    if (adapter !== undefined && !this.#host.hasAdapter(adapter)) {
      const message = `The worker has no adapter '${adapter}' by now. Try again in a moment.`;
      return refused(request, { code: "model_mismatch", message });
    }
    const begun = came?.drawn === undefined ? generate : goesOnBehind(generate, came.drawn);
    const parts = engineRequests(begun, sampling, nextHandle);
    for (const [index, part] of parts.entries()) {
      const no = engine().submit(part);
      if (no === undefined) continue;
      cancel(parts.slice(0, index).map((each) => each.handle));
      return refused(request, no);
    }
    const unsent = begun === generate ? 0 : 1;
    answers.open(begun, wire, parts, {
      ...{ arrival: this.#host.arrivals.of(generate), unsent },
      ...(came === undefined ? {} : { cached_from: came.from }),
    });
    if (generate.alone) probation.begin(parts.map(({ handle }) => handle));
    return { kind: "accepted", request };
  }

  /** Returns a refusal; undefined: taken, and the reply comes when the last input is done. */
  startEmbed(embed: Embed): Refused | undefined {
    const { request, model } = embed;
    const refusal = this.#whyNot(request, model);
    if (refusal !== undefined) return refused(request, refusal);
    return this.#host.embeds.start(embed);
  }

  /** Reasons to refuse new work before the engine is asked; undefined: none. */
  #whyNot(request: string, model: string): Refusal | undefined {
    const { answers, answers_max, isDraining } = this.#host;
    if (isDraining()) {
      return {
        code: "draining",
        message: "The worker of this request is being stopped. Try again: another one takes it.",
      };
    }
    const own = this.#host.model();
    if (model !== own) {
      return {
        code: "model_mismatch",
        message: `The worker serves '${own}' by now, not '${model}'. Try again in a moment.`,
      };
    }
    if (answers.holds(request)) {
      return { code: "bad_request", message: `A request with the id ${request} runs already.` };
    }
    if (answers.count >= answers_max) {
      return {
        code: "queue_full",
        message: "The worker holds as many answers as it may. Try again in a moment.",
      };
    }
    return undefined;
  }
}

/** A feature that the request needs and the engine does not have; undefined: none. */
function whatIsLacking(
  { constraint, adapter, salt, choices }: Generate,
  engine: () => Engine,
): string | undefined {
  const scored = choices.some(({ scores }) => scores === true);
  // Most requests ask for none of these, and a description costs something.
  if (constraint === undefined && adapter === undefined && salt === undefined && !scored) {
    return undefined;
  }
  const { constrains, adapters, salts, scores } = engine().describe().capabilities;
  if (constraint !== undefined && !constrains) return "grammars";
  if (adapter !== undefined && !adapters) return "adapters";
  if (salt !== undefined && !salts) return "salts";
  if (scored && !scores) return "scores of prompts";
  return undefined;
}
