/** There is no planner in this release, and the view says so. */
import { Empty, Panel } from "../../ui/parts.tsx";
import type { ViewProps } from "../view.ts";

export function PlannerView(_: ViewProps) {
  return (
    <div class="view">
      <div class="view-head">
        <h1>Planner</h1>
      </div>
      <Panel title="Decisions">
        <Empty icon="planner" title="There is no planner">
          Nothing scales this cluster by itself: it has the workers that it was started with, and
          those that were added or removed since. Planner decisions would be listed here.
        </Empty>
      </Panel>
    </div>
  );
}
