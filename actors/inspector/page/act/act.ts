/** Acting: a plan is shown, confirmed once, done, and told. */

import type { Act } from "../../acts/act-log.ts";
import { getJson, HttpError, post, send } from "../data/http.ts";
import { Store } from "../data/store.ts";
import { toast } from "../ui/toast.tsx";
import type { Plan, PlanInput } from "./plan.ts";

/** The plan that the dialog shows. */
export const asked = new Store<Plan | undefined>(undefined);

/** The newest acts first. */
export const acts = new Store<readonly Act[]>([]);

let answer: (done: boolean) => void = () => {};

/** Resolves with whether it was done; never rejects. */
export function confirmAct(plan: Plan): Promise<boolean> {
  answer(false);
  asked.set(plan);
  return new Promise((resolve) => {
    answer = resolve;
  });
}

/** The reader has decided. */
export function settle(done: boolean): void {
  asked.set(undefined);
  answer(done);
  answer = () => {};
}

/** Rejects with HttpError. */
export async function perform(plan: Plan, input: PlanInput): Promise<void> {
  type Answer = { readonly act?: string };
  const { act: id } = await send<Answer>(plan.method, plan.path, plan.body?.(input));
  await readActs();
  const act = acts.value.find((each) => each.id === id);
  const undo = act?.undo == null || act.undone_by !== undefined ? undefined : act;
  toast({
    tone: "good",
    text: `${plan.verb}: ${plan.target}. It is in the log.`,
    ...(undo && { action: { label: "Undo", run: () => void undoAct(undo) } }),
  });
}

/** A server without a log of acts has acted nevertheless. */
export async function readActs(): Promise<void> {
  try {
    const { acts: all } = await getJson<{ acts: readonly Act[] }>("/api/acts");
    acts.set(all.toSorted((a, b) => b.at_ms - a.at_ms));
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
  }
}

export async function undoAct({ id, what, target }: Act): Promise<void> {
  try {
    await post(`/api/acts/${encodeURIComponent(id)}/undo`);
    toast({ tone: "good", text: `Undone: ${what} ${target}.` });
  } catch (error) {
    toast({ tone: "bad", text: `Not undone: ${(error as Error).message}` });
  }
  await readActs();
}
