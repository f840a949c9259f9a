/** The keeper of a machine's blocks. */
import {
  type BlockStore,
  NatsBlocks,
  type NeighbourOptions,
  openNativeMemory,
  RedisBlocks,
} from "../../actors/kv/kv.ts";
import { planePrefix } from "../../runtime/planes.ts";
import type { Bus } from "../../runtime/transport/bus.ts";
import { kvTree } from "../../supervisors/kv-tree.ts";
import { kvPaths } from "../../supervisors/paths.ts";
import type { KvBoot } from "../boot.ts";
import { keys } from "../discovery.ts";
import { keepRegistered } from "../keep-registered.ts";
import type { Role, RoleParts } from "./role.ts";

export const kvRole: Role<KvBoot> = {
  async tree(boot, { system, names, discovery, bus, openRedis, block_memory }) {
    const { kv, models, cache_folder, assets_folder, root_node, planes } = boot;
    const { files, random } = system.capabilities;
    const shims = { cache_folder, assets_folder };
    const { host_bytes } = kv;
    const openMemory = async () =>
      block_memory?.open(host_bytes) ??
      (await openNativeMemory(host_bytes, random.u32(), files, shims));
    const neighbours: NeighbourOptions = {
      ...{ machine: root_node, policy: kv.peers },
      host: () => kv.address || bus?.own_host,
      watch: (listener) => discovery.watchKvKeepers(listener),
      store: bus && (await storeOf(boot, bus, openRedis)),
    };
    const among = planes === undefined ? {} : { neighbours };
    const { disk_bytes: bytes, disk_dir: folder } = kv;
    const disk = bytes > 0 ? { bytes, folder } : undefined;
    return kvTree({ areas: models, openMemory, disk, ...among }, names);
  },
  async stands({ root_node }, { system, discovery, line }) {
    await keepRegistered(system, discovery, keys.kv(root_node), kvPaths.main);
    line.ready();
  },
  /** Workers go on without it. */
  async drain() {},
};

/** Undefined: there is none. */
async function storeOf(
  { kv, planes, namespace, root_node }: KvBoot,
  bus: Bus,
  openRedis: RoleParts["openRedis"],
): Promise<BlockStore | undefined> {
  const limits = { capacity_bytes: kv.store_bytes, ttl_ms: kv.store_ttl_ms };
  const prefix = planePrefix(namespace);
  if (kv.store === "nats") return new NatsBlocks(bus, prefix, limits);
  if (kv.store !== "redis" || planes === undefined) return undefined;
  const redis = await openRedis?.(planes, `${root_node}.kv`);
  return redis && new RedisBlocks(redis, prefix, limits);
}
