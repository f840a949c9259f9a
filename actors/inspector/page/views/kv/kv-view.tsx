/** Cached blocks: how full each tier is, what it is worth, its slots, and the hottest prefixes. */
import { useState } from "preact/hooks";
import { useTopic } from "../../data/feed.ts";
import { bytes, count, percent, rate } from "../../ui/format.ts";
import { Bar, type Column, Empty, Panel, Select, Table } from "../../ui/parts.tsx";
import type { ViewProps } from "../view.ts";
import { BlockMap } from "./block-map-canvas.tsx";
import "./kv.css";
import { useAsked } from "../shared/use-asked.ts";
import type { KvMap, KvPage, KvTier, KvWorker, PrefixPage } from "./kv-types.ts";
import { Prefixes } from "./prefixes.tsx";

const MAP_EVERY_MS = 2_000;
const PREFIXES_EVERY_MS = 5_000;
const PAGE_EVERY_MS = 5_000;

export function KvView(_: ViewProps) {
  const live = useTopic<KvPage>("kv");
  const asked = useAsked<KvPage>(live === undefined ? "/api/kv" : undefined, PAGE_EVERY_MS);
  const workers = (live ?? asked.answer)?.workers;
  const prefixes = useAsked<PrefixPage>("/api/kv/prefixes", PREFIXES_EVERY_MS);
  return (
    <div class="view kv">
      <div class="view-head">
        <h1>KV cache</h1>
      </div>
      {workers === undefined && (
        <Empty icon="kv" title={asked.failure === undefined ? "Asking the workers" : "No answer"}>
          {asked.failure ?? "They say what their caches hold."}
        </Empty>
      )}
      {workers?.length === 0 && (
        <Empty icon="kv" title="No worker is ready">
          Caches show here as soon as a worker can answer.
        </Empty>
      )}
      {workers !== undefined && workers.length > 0 && (
        <>
          <Tiers workers={workers} />
          <Maps workers={workers} />
        </>
      )}
      <Prefixes page={prefixes.answer} failure={prefixes.failure} />
    </div>
  );
}

type TierRow = KvTier & { readonly worker: string; readonly role: string; readonly first: boolean };

const tierNames: Readonly<Record<string, string>> = {
  G1: "engine",
  G2: "host memory",
  G3: "disk",
  G4: "other machines",
};

/** Over the whole life, where the feed does not say it of now. */
function hitShare({ hit_share, hits, misses }: KvTier): number | undefined {
  if (typeof hit_share === "number") return hit_share;
  return hits + misses > 0 ? hits / (hits + misses) : undefined;
}

const tierColumns: readonly Column<TierRow>[] = [
  {
    title: "Worker",
    says: "Aggregated: one that computes prompts and makes answers",
    cell: ({ worker, role, first }) => (
      <span class={first ? "" : "repeated"}>
        {worker} <span class="soft">{role}</span>
      </span>
    ),
  },
  {
    title: "Tier",
    says: "G1: the engine's own cache. G2, G3: memory and disk of the machine, for all its workers",
    cell: ({ tier }) => (
      <>
        {tier} <span class="soft">{tierNames[tier]}</span>
      </>
    ),
  },
  {
    title: "Used",
    cell: ({ used, blocks }) =>
      blocks === 0 ? (
        <span class="soft">not known</span>
      ) : (
        <Bar share={used / blocks} label={`${percent(used / blocks)} used`} />
      ),
  },
  {
    title: "Blocks",
    says: "Used of all there are",
    figure: true,
    cell: ({ used, blocks }) => (blocks === 0 ? count(used) : `${count(used)} / ${count(blocks)}`),
  },
  { title: "Memory", figure: true, cell: (row) => (row.bytes > 0 ? bytes(row.bytes) : "–") },
  {
    title: "Hit rate",
    says: "Share of the blocks looked for that were found",
    figure: true,
    cell: (row) => percent(hitShare(row)),
  },
  { title: "Hits/s", figure: true, cell: ({ hits_per_s }) => rate(hits_per_s) },
  { title: "Hits", figure: true, cell: ({ hits }) => count(hits) },
  { title: "Misses", figure: true, cell: ({ misses }) => count(misses) },
  { title: "Evicted/s", figure: true, cell: ({ evicted_per_s }) => rate(evicted_per_s) },
  { title: "Evicted", figure: true, cell: ({ evicted }) => count(evicted) },
];

function Tiers({ workers }: { workers: readonly KvWorker[] }) {
  const rows = workers.flatMap(({ worker, role, tiers }) =>
    tiers.map((tier, at) => ({ ...tier, worker, role, first: at === 0 })),
  );
  return (
    <Panel title="Tiers">
      <Table
        label="Tiers of all workers"
        columns={tierColumns}
        rows={rows}
        keyOf={({ worker, tier }) => `${worker} ${tier}`}
      />
    </Panel>
  );
}

const usedBy = ({ tiers }: KvWorker): number => tiers.reduce((sum, { used }) => sum + used, 0);

const fullest = (workers: readonly KvWorker[]): string =>
  workers.toSorted((a, b) => usedBy(b) - usedBy(a))[0]?.worker ?? "";

function Maps({ workers }: { workers: readonly KvWorker[] }) {
  // Where there is most to see, until the reader chooses.
  const [wanted, want] = useState(() => fullest(workers));
  const names = workers.map(({ worker }) => worker);
  const chosen = names.includes(wanted) ? wanted : (names[0] ?? "");
  const path = `/api/kv/map?worker=${encodeURIComponent(chosen)}`;
  const { answer, failure } = useAsked<KvMap>(path, MAP_EVERY_MS);
  const select = (
    <Select
      label="Worker of the block map"
      value={chosen}
      options={names.map((name) => [name, name] as const)}
      onChange={want}
    />
  );
  return (
    <Panel title="Block map" actions={select}>
      <div class="panel-body maps">
        {answer?.tiers.map(({ tier, slots, used, cells }) => (
          <BlockMap
            key={tier}
            title={`${tier} ${tierNames[tier] ?? ""}`}
            {...{ slots, used, cells }}
          />
        ))}
        {answer?.tiers.length === 0 && <p class="soft">This worker keeps no blocks.</p>}
        {answer === undefined && <p class="soft">{failure ?? "Asking the worker."}</p>}
      </div>
    </Panel>
  );
}
