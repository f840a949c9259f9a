/** The keeper of a machine's blocks. */
import { type NeighbourOptions, openNativeMemory } from "../../actors/kv/kv.ts";
import { kvTree } from "../../supervisors/kv-tree.ts";
import { kvPaths } from "../../supervisors/paths.ts";
import type { KvBoot } from "../boot.ts";
import { keys } from "../discovery.ts";
import { keepRegistered } from "../keep-registered.ts";
import type { Role } from "./role.ts";

export const kvRole: Role<KvBoot> = {
  async tree(boot, { system, names, discovery, ownHost }) {
    const { kv, models, cache_folder, assets_folder, root_node, planes } = boot;
    const { files, random } = system.capabilities;
    const shims = { cache_folder, assets_folder };
    const openMemory = () => openNativeMemory(kv.host_bytes, random.u32(), files, shims);
    const neighbours: NeighbourOptions = {
      ...{ machine: root_node, policy: kv.peers },
      host: () => kv.address || ownHost(),
      watch: (listener) => discovery.watchKvKeepers(listener),
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
