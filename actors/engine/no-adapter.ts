import type { EngineRefusal } from "./engine.ts";

/** The refusal of a request whose adapter is not loaded; the same for all engines. */
export const noAdapter = (name: string | undefined): EngineRefusal => ({
  code: "bad_request",
  message: `no adapter "${name}" is loaded: load it, or name the model itself`,
});
