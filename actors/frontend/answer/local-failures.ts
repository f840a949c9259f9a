/** Codes of failures of this server alone: the workers still have the answer. */
export const localFailures: readonly string[] = ["draining", "interrupted"];
