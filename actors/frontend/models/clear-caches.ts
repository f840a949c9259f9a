/** All workers forget what they have cached and do not use. */
import type { WorkerPeers } from "../resume/find-held.ts";

/** What one worker said. `error`: why it did not. */
export type ClearedCache = {
  readonly worker: string;
  /** Cached blocks that no answer used. */
  readonly blocks: number;
  readonly error: string | undefined;
};

/** A frozen worker gives no reply. */
const CLEAR_MS = 5_000;

/** By name of the worker. Never rejects. */
export async function clearCaches(peers: WorkerPeers): Promise<readonly ClearedCache[]> {
  const { system, resolve } = peers;
  const all = peers.workers().map(async ({ worker, ref }): Promise<ClearedCache> => {
    try {
      const options = { deadline_ms: CLEAR_MS };
      const { cleared, blocks } = await system.ask(resolve(ref), { kind: "clear_kv" }, options);
      const error = "its engine caches nothing, or has too much to do; try again";
      return { worker, blocks, error: cleared ? undefined : error };
    } catch {
      return { worker, blocks: 0, error: `no reply within ${CLEAR_MS / 1000} s` };
    }
  });
  const said = await Promise.all(all);
  return said.sort((a, b) => (a.worker < b.worker ? -1 : 1));
}
