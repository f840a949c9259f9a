/** Decisions as a list, newest first, and changes that are asked for and not done. */
import type { PlannerRow } from "../../../planner-rows.ts";
import { Chip, type Tone } from "../../ui/chip.tsx";
import { timeOfDay } from "../../ui/format.ts";
import { Empty, Panel } from "../../ui/parts.tsx";

type Listed = PlannerRow["decisions"][number];

export function Decisions({ decisions }: { decisions: readonly Listed[] }) {
  return (
    <Panel title="Decisions">
      {decisions.length === 0 ? (
        <Empty icon="planner" title="None yet">
          The first one is made when its first interval is over.
        </Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <ol class="decisions" tabIndex={0} aria-label="Decisions, newest first">
          {decisions.toReversed().map((decision) => (
            <Item key={decision.at_ms} decision={decision} />
          ))}
        </ol>
      )}
    </Panel>
  );
}

/** The newest of the list, where the eye falls first: what holds since then, and why. */
export function Latest({ decisions }: { decisions: readonly Listed[] }) {
  const latest = decisions.at(-1);
  if (latest === undefined) return null;
  return (
    <Panel title="Last decision">
      <ul class="decisions">
        <Item decision={latest} />
      </ul>
    </Panel>
  );
}

/** What did nothing is told with less weight. */
function Item({ decision: { id, at_ms, roles, says, advisory } }: { decision: Listed }) {
  return (
    <li>
      <p>
        <time>{`${says.length > 0 ? "" : "since "}${timeOfDay(at_ms)}`}</time>
        <strong>{says.length > 0 ? says.join("; ") : "no change"}</strong>
        {says.length > 0 && <span class="soft">{`decision ${id}`}</span>}
        {advisory && (
          <Chip tone="accent" title="Nothing of it was done">
            advisory
          </Chip>
        )}
      </p>
      {roles.map(({ role, serving, starting, target, reason, means, why }) => (
        <p key={role}>
          <span class="role">{`${role} ${serving}${starting > 0 ? ` + ${starting}` : ""} → ${target}`}</span>
          <Chip tone={tones[reason] ?? "plain"} title={means}>
            {reason}
          </Chip>
          <span class="soft">{why}</span>
        </p>
      ))}
    </li>
  );
}

const tones: Readonly<Record<string, Tone>> = {
  scale_up: "accent",
  scale_down: "accent",
  scale: "accent",
  sla_tail: "warn",
  backlog: "warn",
  from_zero: "accent",
  cannot_start: "bad",
  predict_failed: "bad",
};

type ChangesProps = Pick<PlannerRow, "pending" | "ended">;

/** Those that went well are in the decisions. */
export function Changes({ pending, ended = [] }: ChangesProps) {
  const failed = ended.filter(({ why }) => why !== "").toReversed();
  if (pending.length + failed.length === 0) return null;
  return (
    <Panel title="Changes that are not done">
      <ul class="decisions">
        {pending.map(({ change, asked_ms, says }) => (
          <Change key={change} at_ms={asked_ms} what={says} {...{ change }} />
        ))}
        {failed.map(({ change, ended_ms, outcome, why }) => (
          <Change key={change} at_ms={ended_ms} what={`${outcome}: ${why}`} {...{ change }} />
        ))}
      </ul>
    </Panel>
  );
}

type ChangeProps = { readonly change: string; readonly at_ms: number; readonly what: string };

function Change({ change, at_ms, what }: ChangeProps) {
  return (
    <li>
      <p>
        <time>{timeOfDay(at_ms)}</time>
        <strong>{what}</strong>
        <span class="soft mono">{change}</span>
      </p>
    </li>
  );
}
