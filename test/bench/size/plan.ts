/** A way to serve a trace, what it costs, and its name. */
import type { Deployment } from "../replay/set-up/world.ts";

/** What memory and disks cost beside workers, in workers a GB. */
export type Prices = { readonly host_gb: number; readonly disk_gb: number };

const BYTES_A_GB = 1e9;

/**
 * In workers. Without prices, memory and disks count for so little that only plans with as many
 * workers are told apart by them.
 */
export function costOf(
  { workers, host_blocks, disk_blocks }: Deployment,
  block_bytes: number,
  prices: Prices,
): number {
  const gigabytes = (blocks: number) => (workers * blocks * block_bytes) / BYTES_A_GB;
  const host = gigabytes(host_blocks);
  const disk = gigabytes(disk_blocks);
  const least = 1e-9 * (10 * host + disk);
  return workers + prices.host_gb * host + prices.disk_gb * disk + least;
}

export function isSame(a: Deployment, b: Deployment): boolean {
  return keyOf(a) === keyOf(b);
}

export const keyOf = (deployment: Deployment): string => planFlags(deployment).join(" ");

/** As `bun run replay` takes it. */
export function planFlags(deployment: Deployment): readonly string[] {
  const { workers, prefill, mode, policy, objective, host_blocks, disk_blocks } = deployment;
  return [
    ...(prefill > 0
      ? ["--prefill", `${prefill}`, "--decode", `${workers - prefill}`]
      : ["--workers", `${workers}`]),
    ...["--router-mode", mode],
    ...(mode === "kv" ? ["--router-policy", policy] : []),
    ...(mode === "kv" && policy === "adaptive" ? ["--router-objective", objective] : []),
    ...(host_blocks > 0 ? ["--kv-host-blocks", `${host_blocks}`] : []),
    ...(disk_blocks > 0 ? ["--kv-disk-blocks", `${disk_blocks}`] : []),
  ];
}

export function nameOf(deployment: Deployment): string {
  const { workers, prefill, mode, policy, objective, host_blocks, disk_blocks } = deployment;
  const router = mode !== "kv" ? mode : policy === "adaptive" ? `kv ${objective}` : `kv ${policy}`;
  const tiers = [
    ...(host_blocks > 0 ? [`${host_blocks} host blocks`] : []),
    ...(disk_blocks > 0 ? [`${disk_blocks} disk blocks`] : []),
  ];
  return [`${workersOf(workers, prefill)}, ${router}`, ...tiers].join(", ");
}

function workersOf(workers: number, prefill: number): string {
  if (prefill > 0) return `${prefill} prefill + ${workers - prefill} decode`;
  return workers === 1 ? "1 worker" : `${workers} workers`;
}
