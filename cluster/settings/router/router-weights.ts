/** `--router-weight`, and what a router's policy is made of. Pure. */
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import {
  type Weights,
  weightNames,
  weightProblem,
  weightsOf,
  withWeights,
} from "../../../actors/router/policy/weights.ts";
import { SettingsError } from "../settings-error.ts";
import type { RouterSettings } from "./router-settings.ts";

type PolicyName = RouterSettings["policy"];

/** A name that is given twice has its last value. Throws SettingsError. */
export function routerWeights(given: readonly string[], policy: PolicyName): Weights {
  const read = given.map((text): [string, number] => {
    const [, name = "", number = ""] =
      /^([a-z_]+)=(\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i.exec(text) ?? [];
    if (name === "") {
      throw new SettingsError(
        `--router-weight ${text}: use NAME=VALUE, for example crowd_weight=2; names of policy ` +
          `${policy}: ${weightNames(policy).join(", ")}`,
      );
    }
    const wrong = weightProblem(policy, name, Number(number));
    if (wrong !== undefined) throw new SettingsError(`--router-weight: ${wrong}`);
    return [name, Number(number)];
  });
  return Object.fromEntries(read);
}

/** As they are given. */
export const weightTexts = (weights: Weights): readonly string[] =>
  Object.entries(weights).map(([name, value]) => `${name}=${value}`);

export function policyOf(router: RouterSettings): KvPolicyOptions {
  const { policy, objective, queue_threshold, temperature, session_ttl_ms, session_mode } = router;
  const { conditional, eff_isl, eff_isl_ratio, enforce_disagg, weights } = router;
  const { queue_requests, queue_policy, classes, decode_blocks_max, prefill_tokens_max } = router;
  const busy = {
    active_decode_blocks: decode_blocks_max,
    active_prefill_tokens: prefill_tokens_max,
  };
  const options: KvPolicyOptions = {
    name: policy,
    objective,
    temperature,
    queue: {
      requests_max: queue_requests,
      classes,
      ...(queue_policy === "" ? {} : { order: queue_policy }),
    },
    busy: () => busy,
    conditional: { mode: conditional, eff_isl, eff_isl_ratio },
    enforce_disagg,
    ...(queue_threshold < 0 ? {} : { queue_threshold }),
    ...(session_ttl_ms === 0 ? {} : { affinity: { mode: session_mode, ttl_ms: session_ttl_ms } }),
  };
  return withWeights(options, weights);
}

export type RouterPage = {
  readonly mode: RouterSettings["mode"];
  /** Mode kv. */
  readonly policy?: PolicyName;
  /** Those that may be changed; other modes have none. */
  readonly weights: Weights;
};

/** `changes`: what was set since the start. */
export function routerPage(router: RouterSettings, changes: Weights): RouterPage {
  const { mode, policy } = router;
  if (mode !== "kv") return { mode, weights: {} };
  return { mode, policy, weights: weightsOf(withWeights(policyOf(router), changes)) };
}

/** What is wrong with wishes for weights, where `null` takes one back to the flags'. */
export function wishProblem(
  router: RouterSettings,
  wishes: Readonly<Record<string, unknown>>,
): string | undefined {
  if (router.mode !== "kv") return `router mode ${router.mode} has no weights; mode kv has some`;
  const names = Object.keys(wishes);
  if (names.length === 0) return 'name the weights to change, as {"weights": {"NAME": 1}}';
  for (const name of names) {
    const value = wishes[name];
    const wrong = weightProblem(router.policy, name, value === null ? 0 : value);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}
