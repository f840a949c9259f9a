/** The supervision tree of the whole cluster, live. */
import { useMemo, useState } from "preact/hooks";
import { restarted, treeVersion, useTree } from "../../data/tree.ts";
import { noFilter, type TreeFilter, type TreeModel } from "../../data/tree-model.ts";
import { useStore } from "../../data/use-store.ts";
import { bytes, count, duration, nameOf, rate } from "../../ui/format.ts";
import { Empty, Stat, Stats } from "../../ui/parts.tsx";
import { Filters } from "./filters.tsx";
import { Selected } from "./selected.tsx";
import { TreeGrid } from "./tree-grid.tsx";
import "./tree.css";

/** What was looked for and chosen stays when the reader comes back from an actor. */
let keptFilter: TreeFilter = noFilter;
let keptChoice: string | undefined;

export function TreeView() {
  const model = useTree();
  const version = useStore(treeVersion);
  const [filter, setFilter] = useState(keptFilter);
  const [chosen, setChosen] = useState(keptChoice);
  /** Counts openings and closings, which change what is visible. */
  const [turns, setTurns] = useState(0);
  keptFilter = filter;
  keptChoice = chosen;
  const rows = useMemo(() => model.visible(filter), [model, filter, version, turns]);
  const choice = chosen === undefined ? undefined : model.get(chosen);
  if (model.size === 0) return <Waiting />;
  return (
    <div class="view tree-view">
      <Summary model={model} />
      <Filters
        model={model}
        filter={filter}
        onFilter={setFilter}
        onTurn={() => setTurns((n) => n + 1)}
      />
      <TreeGrid
        model={model}
        rows={rows}
        chosen={chosen}
        onChoose={setChosen}
        onTurn={() => setTurns((n) => n + 1)}
      />
      {choice && <Selected row={choice} onClose={() => setChosen(undefined)} />}
      <Announcer />
    </div>
  );
}

function Waiting() {
  return (
    <Empty icon="tree" title="No tree yet">
      The page waits for the inspector's first answer. It is here as soon as the cluster's root
      answers.
    </Empty>
  );
}

/** Restarts are said to those who do not see them flash. */
function Announcer() {
  const last = useStore(restarted).at(-1);
  return (
    <p class="visually-hidden" role="status" aria-live="polite">
      {last && `${nameOf(last.id)} was started again, ${last.restarts} times by now`}
    </p>
  );
}

function Summary({ model }: { model: TreeModel }) {
  const sum = summed(model);
  return (
    <Stats>
      <Stat label="Processes" value={count(sum.processes)} />
      <Stat label="Actors" value={count(sum.actors)} />
      <Stat label="Messages/s" value={rate(sum.rate)} />
      <Stat label="In mailboxes" value={count(sum.waiting)} />
      <Stat
        label="Oldest waits"
        value={sum.oldest_ms === 0 ? "–" : duration(sum.oldest_ms)}
        tone={sum.oldest_ms >= 1_000 ? "warn" : undefined}
      />
      <Stat
        label="Restarts"
        value={count(sum.restarts)}
        tone={sum.restarts > 0 ? "warn" : undefined}
      />
      <Stat label="Memory" value={sum.bytes === 0 ? "–" : bytes(sum.bytes)} />
    </Stats>
  );
}

function summed(model: TreeModel) {
  const sum = { processes: 0, actors: 0, rate: 0, waiting: 0, oldest_ms: 0, restarts: 0, bytes: 0 };
  const pids = new Set<string>();
  for (const row of model.rows()) {
    if (row.pid > 0) pids.add(`${machineOf(row.id)} ${row.pid}`);
    if (row.kind === "actor") sum.actors += 1;
    sum.actors += row.more ?? 0;
    sum.rate += row.rate ?? 0;
    sum.waiting += row.mailbox;
    if (row.mailbox > 0) sum.oldest_ms = Math.max(sum.oldest_ms, row.oldest_ms ?? 0);
    sum.restarts += row.restarts;
    sum.bytes += row.resident_bytes ?? 0;
  }
  return { ...sum, processes: pids.size };
}

/** A pid means something on its own machine only. */
function machineOf(id: string): string {
  const node = id.slice(0, id.indexOf("/"));
  return node.slice(0, node.lastIndexOf(".") + 1);
}
