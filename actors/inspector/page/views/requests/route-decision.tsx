/** One decision of the router: every worker's cost, of what it is made, and why this one won. */
import { Chip } from "../../ui/chip.tsx";
import { count, duration } from "../../ui/format.ts";
import { Bar, type Column, Panel, Table } from "../../ui/parts.tsx";
import { partWords } from "../shared/router-words.ts";
import type { Route, RouteWorker } from "./request-row.ts";
import { routeTable } from "./route-costs.ts";

const figure = (value: number | null | undefined): string =>
  value === null || value === undefined
    ? "–"
    : value.toLocaleString("en-US", { maximumFractionDigits: 3 });

export function RouteDecision({ route }: { route: Route }) {
  const { parts, workers, highest_cost } = routeTable(route);
  const what = route.for === "prefill" ? "Who computes its prompt" : "Who answers it";
  const columns: readonly Column<RouteWorker>[] = [
    {
      title: "Worker",
      cell: ({ worker, left_out }) => (
        <>
          <span class={left_out === undefined ? "" : "soft"}>{worker}</span>{" "}
          {worker === route.chosen && <Chip tone="accent">chosen</Chip>}
        </>
      ),
    },
    {
      title: route.unit ? `Cost, ${route.unit}` : "Cost",
      figure: true,
      cell: ({ cost }) => (
        <>
          {figure(cost)}{" "}
          {cost !== null && highest_cost > 0 && (
            <Bar share={Math.abs(cost) / highest_cost} label={`cost ${figure(cost)}`} />
          )}
        </>
      ),
    },
    { title: "Cached blocks", figure: true, cell: (row) => count(row.overlap_blocks) },
    ...parts.map((name) => ({
      title: name.replaceAll("_", " "),
      says: partWords[name],
      figure: true,
      cell: (row: RouteWorker) => figure(row.parts?.[name]),
    })),
    { title: "Left out because", cell: ({ left_out }) => left_out ?? "" },
  ];
  const shown = workers.some(({ left_out }) => left_out !== undefined)
    ? columns
    : columns.slice(0, -1);
  return (
    <Panel
      title={`${what}: ${route.chosen || "nobody"}`}
      actions={<span class="soft">{factsOf(route)}</span>}
    >
      <p class="panel-body route-why">{capitalized(route.why)}</p>
      {workers.length > 0 && (
        <Table
          label={`Costs of ${workers.length} workers`}
          rows={workers}
          keyOf={({ worker }) => worker}
          columns={shown}
        />
      )}
    </Panel>
  );
}

const capitalized = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

function factsOf({ mode, at_ms, waited_ms = 0, count: looked_at = 0, workers }: Route): string {
  const waited = waited_ms >= 1 ? `, waited ${duration(waited_ms)} for room` : "";
  const some =
    looked_at > workers.length ? `, ${count(workers.length)} of ${count(looked_at)} workers` : "";
  return `${mode}, at ${duration(at_ms)}${waited}${some}`;
}
