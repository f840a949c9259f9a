/** The settings of the keeper of a machine's blocks: tiers beyond the engines. */
import type { SettingsOf } from "../../runtime/setting.ts";
import { admissionPolicies } from "./peer/offering.ts";

export const kvFlags = {
  /** 0: no block leaves its engine. */
  host_bytes: {
    name: "kv-host-bytes",
    type: "bytes",
    default: 0,
    env: ["DYN_KVBM_CPU_CACHE_GB"],
    help: "host memory for cached blocks beyond the engines, shared by this machine's workers: 512MB, 2GiB; 0: none",
  },
  disk_bytes: {
    name: "kv-disk-bytes",
    type: "bytes",
    default: 0,
    env: ["DYN_KVBM_DISK_CACHE_GB"],
    help: "disk for them behind that memory, which outlives the cluster; 0: none",
  },
  /** Empty: `kv` in the cache folder. */
  disk_dir: {
    name: "kv-disk-dir",
    type: "text",
    env: ["DYN_KVBM_DISK_CACHE_DIR"],
    help: "folder for them; default: kv in --cache-dir",
  },
  peers: {
    name: "kv-peers",
    type: "choice",
    choices: admissionPolicies,
    default: "after_first_reuse",
    env: ["DYN_KVBM_G2PB_ADMISSION_POLICY"],
    help: "many machines: each block has an owner among them, which is asked for it and is offered it; when",
  },
  /** Empty: as the NATS server sees it. */
  address: {
    name: "kv-address",
    type: "text",
    help: "many machines: address at which the others read this one's blocks; default: the one that NATS sees",
  },
  store: {
    name: "kv-store",
    type: "choice",
    choices: ["off", "redis", "nats"],
    default: "off",
    help: "many machines: blocks that are used again also lie in the Redis, or in a JetStream of the NATS, that they share",
  },
  store_bytes: {
    name: "kv-store-bytes",
    type: "bytes",
    default: 1024 ** 3,
    help: "how much of them there; the oldest give way",
  },
  store_ttl_ms: {
    name: "kv-store-ttl",
    type: "seconds",
    min: 1,
    max: 31_536_000,
    default: 86_400,
    times: 1_000,
    help: "seconds that they lie there: in Redis unused, in NATS at all",
  },
} as const;

export type KvSettings = SettingsOf<typeof kvFlags>;
