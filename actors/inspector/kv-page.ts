/**
 * `GET /api/kv`: cached blocks by worker and tier, made of what workers and keepers of blocks say
 * of themselves. Pure. A machine's tiers are shown with each of its workers that uses them.
 */

/** What one actor says of itself. */
export type Said = { readonly node: string; readonly snapshot: Readonly<Record<string, unknown>> };

export type KvTierRow = {
  readonly tier: "G1" | "G2" | "G3" | "G4";
  /** There is room for so many; 0: not known. */
  readonly blocks: number;
  readonly used: number;
  /** Blocks that were asked for, and were there or not. */
  readonly hits: number;
  readonly misses: number;
  readonly evicted: number;
  /** In use. */
  readonly bytes: number;
};

export type KvPage = {
  readonly workers: readonly {
    readonly worker: string;
    readonly role: string;
    readonly tiers: readonly KvTierRow[];
  }[];
};

type Fields = Readonly<Record<string, unknown>>;

const numberIn = (from: Fields, name: string): number => {
  const value = from[name];
  return typeof value === "number" ? value : 0;
};
const fieldsIn = (from: Fields, name: string): Fields | undefined => {
  const value = from[name];
  return typeof value === "object" && value !== null ? (value as Fields) : undefined;
};

/** A keeper says which spaces it has; who is ready is a worker. */
export function kvPage(said: readonly Said[]): KvPage {
  const keepers = said.filter(({ snapshot }) => snapshot["spaces"] !== undefined);
  const rows = said
    .filter(({ snapshot }) => snapshot["ready"] === true)
    .map(({ snapshot }) => ({
      worker: `${snapshot["worker"]}`,
      role: `${snapshot["role"]}`,
      tiers: [engineTier(snapshot), ...machineTiers(snapshot, keepers)],
    }));
  return { workers: rows.sort((a, b) => (a.worker < b.worker ? -1 : 1)) };
}

function engineTier(worker: Fields): KvTierRow {
  const block_size = Math.max(1, numberIn(worker, "block_size"));
  const used = numberIn(worker, "kv_blocks");
  const hits = Math.floor(numberIn(worker, "cached_tokens_total") / block_size);
  const asked = Math.floor(numberIn(worker, "prompt_tokens_total") / block_size);
  const block_bytes = numberIn(fieldsIn(worker, "kv_tiers") ?? {}, "block_bytes");
  return {
    ...{ tier: "G1", blocks: numberIn(worker, "total_blocks"), used },
    ...{ hits, misses: Math.max(0, asked - hits), evicted: numberIn(worker, "kv_evicted") },
    bytes: used * block_bytes,
  };
}

/** Of the space that the worker has open. */
function machineTiers(worker: Fields, keepers: readonly Said[]): KvTierRow[] {
  const tiers = fieldsIn(worker, "kv_tiers");
  if (tiers === undefined) return [];
  const keeper = keepers.find(({ node }) => node === tiers["keeper"])?.snapshot;
  const spaces = (keeper?.["spaces"] ?? []) as readonly Fields[];
  const space = spaces.find(({ identity }) => identity === tiers["identity"]);
  if (keeper === undefined || space === undefined) return [];
  const slot_bytes = numberIn(space, "slot_bytes");
  const disk = fieldsIn(space, "disk");
  const neighbours = fieldsIn(keeper, "neighbours");
  return [
    tierRow("G2", space, slot_bytes),
    ...(disk === undefined ? [] : [tierRow("G3", disk, numberIn(disk, "file_bytes"))]),
    ...(neighbours === undefined ? [] : [peerRow(neighbours)]),
  ];
}

function tierRow(tier: "G2" | "G3", from: Fields, block_bytes: number): KvTierRow {
  const used = numberIn(from, "registered");
  return {
    ...{ tier, blocks: numberIn(from, "slots"), used },
    ...{ hits: numberIn(from, "hits"), misses: numberIn(from, "misses") },
    ...{ evicted: numberIn(from, "evicted"), bytes: used * block_bytes },
  };
}

/** What other machines have is theirs to count, and what their store has nobody counts here. */
function peerRow(neighbours: Fields): KvTierRow {
  const store = fieldsIn(neighbours, "store") ?? {};
  return {
    ...{ tier: "G4", blocks: 0, used: 0, evicted: 0, bytes: 0 },
    hits: numberIn(neighbours, "pulled_blocks") + numberIn(store, "got"),
    misses: numberIn(neighbours, "missed_blocks") + numberIn(store, "missed"),
  };
}
