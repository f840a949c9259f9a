/** The acts of one row as buttons; nothing where this page may not act. */
import { me, showsActs } from "../data/me.ts";
import type { TreeRow } from "../data/types.ts";
import { useStore } from "../data/use-store.ts";
import { Button } from "../ui/button.tsx";
import { confirmAct } from "./act.ts";
import { actionsFor } from "./actions.ts";

export function ActButtons({ row }: { row: TreeRow }) {
  if (!showsActs(useStore(me))) return null;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of buttons is no fieldset
    <div class="acts" role="group" aria-label="Actions">
      {actionsFor(row).map((plan) => (
        <Button
          key={plan.verb}
          icon={plan.icon}
          kind={plan.danger ? "danger" : "plain"}
          onClick={() => void confirmAct(plan)}
        >
          {plan.verb}
        </Button>
      ))}
    </div>
  );
}
