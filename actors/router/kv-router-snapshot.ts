/** Snapshot of a router of mode kv: its workers, its models and the state of the index. */
import type { KvFeed } from "./feed/kv-feed.ts";
import type { KvModel } from "./kv-model.ts";
import type { WorkerSet } from "./worker-set.ts";

export function workersSnapshot(workers: WorkerSet, all: Iterable<KvModel>, feed: KvFeed) {
  const isSuspect = (worker: string) => workers.get(worker)?.suspect ?? false;
  const models = [...all].map((model) => model.inspect());
  return {
    // The same list that the other modes show.
    workers: models.flatMap((model) =>
      model.workers.map(({ worker, in_flight }) => {
        return { worker, model: model.model, in_flight, suspect: isSuspect(worker) };
      }),
    ),
    models,
    caches: feed.workers().map(({ worker, model, state, fault, blocks }) => {
      return { worker, model, suspect: isSuspect(worker), state, fault: fault ?? "", blocks };
    }),
  };
}
