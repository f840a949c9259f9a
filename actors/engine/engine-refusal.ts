/** Why an engine does not take something, as a value: none of its calls throws for it. */
export type EngineRefusal = {
  readonly code: "queue_full" | "context_overflow" | "bad_request" | "not_supported" | "closed";
  readonly message: string;
  /** What was asked for is still being prepared: who asks again may find it done. */
  readonly not_yet?: boolean;
};
