/** Cached blocks by worker and tier, with rates since the look before. */
import { kvRates } from "../../kv/kv-rates.ts";
import type { KvPage } from "../../kv-page.ts";
import { kvOf } from "../routes/kv.ts";
import type { Topic } from "./topic.ts";

export const kvTopic: Topic = {
  name: "kv",
  // Caches fill slowly, and each worker says all of itself for it.
  every_ms: 2_000,
  open: (door) => {
    const { clock } = door.system.capabilities;
    let before: { readonly page: KvPage; readonly at_ms: number } | undefined;
    let told = "";
    let last: object | undefined;
    return {
      next: async () => {
        const page = await kvOf(door);
        const at_ms = clock.now_ms();
        last = kvRates(before?.page, page, before === undefined ? 0 : at_ms - before.at_ms);
        before = { page, at_ms };
        const text = JSON.stringify(last);
        if (text === told) return undefined;
        told = text;
        return last;
      },
      whole: () => last,
    };
  },
};
