/** Which workers hold an answer: the hinted ones are asked first, then all the others. */
import type { ActorRef, HeldAnswer, WorkerMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { workerHint } from "../../names/names.ts";
import type { KnownWorker } from "../models/models.ts";

/** One attempt at an answer, and the worker that holds it. */
export type Holder = {
  readonly worker: string;
  readonly ref: ActorRef;
  /** The name of the attempt at that worker. */
  readonly request: string;
  /** As it was asked for. */
  readonly generate: NonNullable<HeldAnswer["generate"]>;
  readonly left_ms: number;
};

export type WorkerPeers = {
  readonly system: ActorSystem;
  readonly workers: () => readonly KnownWorker[];
  readonly resolve: (wire: ActorRef) => Ref<WorkerMessage>;
};

/** How long a worker's reply is waited for; a frozen worker gives none. */
const ANSWER_MS = 1_000;
/** After all parts of an answer were found, other workers have so long to name later attempts. */
const OTHERS_MS = 50;

/**
 * All attempts at `answer` that workers hold. Only the hinted workers are asked when `isEnough`
 * says that what they hold is enough. Rejects only as `mayAskAll` does, which is called before all
 * other workers are asked.
 */
export async function findHeld(
  peers: WorkerPeers,
  answer: string,
  hints: readonly string[],
  isEnough: (found: readonly Holder[]) => boolean,
  mayAskAll: () => void = () => {},
): Promise<readonly Holder[]> {
  const all = peers.workers();
  const hinted = all.filter(({ worker }) => hints.includes(workerHint(worker)));
  const found = await askAll(peers, hinted, answer, isEnough);
  if (isEnough(found)) return found;
  mayAskAll();
  const others = all.filter((worker) => !hinted.includes(worker));
  const both = (rest: readonly Holder[]) => [...found, ...rest];
  return both(await askAll(peers, others, answer, (rest) => isEnough(both(rest))));
}

function askAll(
  peers: WorkerPeers,
  workers: readonly KnownWorker[],
  answer: string,
  isEnough: (found: readonly Holder[]) => boolean,
): Promise<readonly Holder[]> {
  const { clock } = peers.system.capabilities;
  const found: Holder[] = [];
  let left = workers.length;
  let enough = false;
  if (left === 0) return Promise.resolve(found);
  return new Promise((resolve) => {
    const one = async (worker: KnownWorker) => {
      const items = await askOne(peers, worker, answer);
      found.push(...items);
      left -= 1;
      if (!enough && items.length > 0 && isEnough(found)) {
        enough = true;
        clock.after(OTHERS_MS, () => resolve(found));
      }
      if (left === 0) resolve(found);
    };
    for (const worker of workers) void one(worker);
  });
}

async function askOne(
  { system, resolve }: WorkerPeers,
  { worker, ref }: KnownWorker,
  answer: string,
): Promise<Holder[]> {
  try {
    const message = { kind: "find_answer", answer } as const;
    const { items } = await system.ask(resolve(ref), message, { deadline_ms: ANSWER_MS });
    return items.flatMap(({ request, generate, left_ms }) =>
      generate === undefined ? [] : [{ worker, ref, request, generate, left_ms }],
    );
  } catch {
    // A worker that is dead, frozen or ending cannot give the answer.
    return [];
  }
}
