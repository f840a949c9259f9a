/** What the router's numbers mean, for a pointer that rests on one; docs/routing.md has the rest. */

/** Weights of the adaptive policy, and those of every policy. */
export const weightWords: Readonly<Record<string, string>> = {
  crowd_weight: "How much a request's own prefill counts for each request that it delays",
  stall_weight: "How much its own prefill counts for each running answer that it stalls",
  queue_weight: "How much its own prefill counts for each request that waits in the router",
  decode_weight: "Cost of longer decode steps for its own answer",
  others_weight: "Cost of slowing the answers that are already there",
  fair_share: "A worker with more than this times the mean share of its blocks in use is overfull",
  overfull_weight: "Cost of each decode step at an overfull worker",
  temperature: "0: always the cheapest worker; more: by chance, the cheaper the likelier",
  queue_threshold: "Requests wait while every worker has more passes of prompt tokens to do",
  hold_passes: "A request waits while its best worker has more passes of prompt tokens to do",
  patience: "Bound of that wait, in times that its own prompt takes",
};

/** Parts of the adaptive policy's cost. */
export const partWords: Readonly<Record<string, string>> = {
  backlog: "Until the prompts that were sent there before are computed",
  own: "The prompt's own tokens that are not cached there",
  steps: "Decode steps that share its passes",
  decoding: "Longer decode steps for its own answer, the fuller the worker",
  others: "How much it slows the answers there",
  overfull: "Steps of a worker that has far more blocks in use than the others",
};
