/** What a worker says of its blocks when a person asks: a picture, and what prompts share. */
import { cellsOfCounts, sampled, type TierMap, tierMap } from "../../llm/blocks/block-map.ts";
import type { Engine } from "../engine/engine.ts";
import { cachedPrefixes } from "./cache/cached-prompts.ts";
import type { KvPublisher } from "./cache/kv-publisher.ts";

/** Where a worker's blocks are beyond its engine. */
type Place = { readonly keeper: string; readonly identity: string };

export type Asked = {
  readonly worker: string;
  readonly model: string;
  readonly engine: Engine;
  readonly kv: Pick<KvPublisher, "prompts">;
  readonly tiers: { inspect(): Place } | undefined;
};

/** Undefined: there is no such view. */
export function workerDetail(name: string, { worker, model, engine, kv, tiers }: Asked) {
  if (name === "kv_map") return engineMap(worker, engine, tiers?.inspect());
  return name === "prefixes" ? cachedPrefixes(model, worker, kv.prompts()) : undefined;
}

type EngineMap = {
  readonly worker: string;
  /** Node of the keeper of blocks, and how it calls this worker's space; "": none. */
  readonly keeper: string;
  readonly identity: string;
  readonly tiers: readonly TierMap[];
};

function engineMap(worker: string, engine: Engine, place: Place | undefined): EngineMap {
  const { keeper = "", identity = "" } = place ?? {};
  return { worker, keeper, identity, tiers: [mapOf(engine)] };
}

/** Engines that do not say what is where show how much of each there is. */
function mapOf(engine: Engine): TierMap {
  const { total_blocks, used_blocks, cached_blocks } = engine.stats();
  const cells =
    engine.stateOfBlock === undefined
      ? cellsOfCounts(total_blocks, used_blocks, cached_blocks)
      : sampled(total_blocks, (place) => engine.stateOfBlock?.(place) ?? 0);
  return tierMap("G1", total_blocks, used_blocks + cached_blocks, cells);
}
