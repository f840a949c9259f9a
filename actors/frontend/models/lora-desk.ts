/** Adapters are loaded and unloaded by the keepers of all machines (actors/adapters). */
import type { AdapterDone, AdapterMessage } from "../../../proto/index.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { LoraDesk } from "../api/json-route.ts";
import { pause } from "../pause.ts";
import type { ModelDirectory } from "./models.ts";

/** A file may come over the network first. */
const LOAD_MS = 600_000;
const UNLOAD_BEYOND_MS = 20_000;
/** Until this frontend knows what the workers have told the registry. */
const SEEN_MS = 5_000;
const LOOK_MS = 10;

export function loraDesk(
  system: ActorSystem,
  models: ModelDirectory,
  keepers: (() => readonly Ref<AdapterMessage>[]) | undefined,
  allowed: boolean,
): LoraDesk {
  const { clock } = system.capabilities;
  const all = async (
    message: AdapterMessage & { readonly kind: "load_adapter" | "unload_adapter" },
    deadline_ms: number,
  ): Promise<readonly AdapterDone[]> =>
    await Promise.all(
      (keepers?.() ?? []).map((keeper) =>
        system.ask(keeper, message, { deadline_ms }).catch((error: unknown) => away(error)),
      ),
    );
  const seen = async (is: () => boolean): Promise<void> => {
    const late_ms = clock.now_ms() + SEEN_MS;
    while (!is() && clock.now_ms() < late_ms) await pause(clock, LOOK_MS);
  };
  return {
    allowed,
    load: async (adapter) => {
      const said = await all({ kind: "load_adapter", path: "", ...adapter }, LOAD_MS);
      const refusal = said.find(({ code }) => code !== "");
      if (refusal === undefined) {
        const { name, source } = adapter;
        if (said.length > 0) await seen(() => models.get(name)?.source === source);
        return said[0] ?? nobody;
      }
      // All machines have it, or none.
      if (said.some(({ code }) => code === "")) {
        await all({ kind: "unload_adapter", name: adapter.name, wait_ms: 0 }, UNLOAD_BEYOND_MS);
      }
      return refusal;
    },
    unload: async (name, wait_ms) => {
      const said = await all({ kind: "unload_adapter", name, wait_ms }, wait_ms + UNLOAD_BEYOND_MS);
      const refusal = said.find(({ code }) => code !== "" && code !== "not_found");
      const unloaded = said.find(({ code }) => code === "");
      if (unloaded !== undefined) await seen(() => models.get(name) === undefined);
      return refusal ?? unloaded ?? said[0] ?? nobody;
    },
  };
}

const away = (error: unknown): AdapterDone => ({
  kind: "adapter_done",
  code: "away",
  message: `A machine does not answer (${errorText(error)}). Try again in a moment.`,
});

const nobody: AdapterDone = {
  kind: "adapter_done",
  code: "away",
  message: "No machine with workers is there at the moment. Try again in a few seconds.",
};
