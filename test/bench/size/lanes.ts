/** Trials side by side, each in a thread, so that a signal can end them in the middle. */
import type { PlanFigures } from "../replay/plan/plan-figures.ts";
import type { Deployment } from "../replay/set-up/world.ts";
import type { Question, Trial } from "./trial.ts";

/** A plan that stays as it is, or what the planner of the command line makes of one. */
export type Job =
  | { readonly kind: "try"; readonly question: Question }
  | { readonly kind: "plan"; readonly begins: Deployment };
export type ThreadRequest = { readonly id: number; readonly job: Job };
export type ThreadAnswer =
  | { readonly id: number; readonly trial: Trial }
  | { readonly id: number; readonly figures: PlanFigures }
  | { readonly id: number; readonly problem: string };

export interface Lanes {
  readonly count: number;
  /** Undefined: the lanes were closed before it was done. Rejects with TrialError. */
  run(question: Question): Promise<Trial | undefined>;
  /** The same with the planner, which begins with this. */
  plan(begins: Deployment): Promise<PlanFigures | undefined>;
  close(): void;
}

export class TrialError extends Error {
  readonly code = "trial_failed";
}

type Waiting = {
  readonly job: Job;
  readonly resolve: (answer: ThreadAnswer | undefined) => void;
  readonly reject: (error: TrialError) => void;
};

/** @param args the command line, which each thread reads by itself */
export function threadLanes(count: number, args: readonly string[]): Lanes {
  const queue: Waiting[] = [];
  const idle: Worker[] = [];
  const running = new Map<number, Waiting & { readonly thread: Worker }>();
  let next = 0;
  let closed = false;
  const go = () => {
    for (let thread = idle.pop(); thread !== undefined; thread = idle.pop()) {
      const waiting = queue.shift();
      if (waiting === undefined) {
        idle.push(thread);
        return;
      }
      const id = next++;
      running.set(id, { ...waiting, thread });
      thread.postMessage({ id, job: waiting.job } satisfies ThreadRequest);
    }
  };
  const threads = Array.from({ length: count }, () => {
    const thread = new Worker(new URL("./size-thread.ts", import.meta.url));
    thread.onmessage = ({ data }: MessageEvent<ThreadAnswer>) => {
      const asked = running.get(data.id);
      if (asked === undefined) return;
      running.delete(data.id);
      idle.push(thread);
      if ("problem" in data) asked.reject(new TrialError(data.problem));
      else asked.resolve(data);
      go();
    };
    thread.onerror = ({ message }) => {
      for (const [id, asked] of running) {
        if (asked.thread !== thread) continue;
        running.delete(id);
        asked.reject(new TrialError(`a thread failed: ${message}`));
      }
    };
    thread.postMessage({ args });
    idle.push(thread);
    return thread;
  });
  const done = (job: Job): Promise<ThreadAnswer | undefined> =>
    new Promise((resolve, reject) => {
      if (closed) {
        resolve(undefined);
        return;
      }
      queue.push({ job, resolve, reject });
      go();
    });
  return {
    count,
    async run(question) {
      const answer = await done({ kind: "try", question });
      return answer !== undefined && "trial" in answer ? answer.trial : undefined;
    },
    async plan(begins) {
      const answer = await done({ kind: "plan", begins });
      return answer !== undefined && "figures" in answer ? answer.figures : undefined;
    },
    close: () => {
      closed = true;
      for (const thread of threads) thread.terminate();
      for (const { resolve } of [...queue.splice(0), ...running.values()]) resolve(undefined);
      running.clear();
    },
  };
}
