/**
 * Workers of this cluster: the pools of its machines start and end their processes. Where a change
 * was placed is asked of the pools, so a planner that comes back places nothing a second time; and
 * what a machine that went away had begun is placed on others, as its workers went with it.
 */
import type {
  ChangeRole,
  GetPool,
  Pool,
  PoolMessage,
  WorkerFailure,
  WorkerRole,
  WorkersAdded,
  WorkersRetired,
} from "../../../proto/index.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";
import type { Added, Change, ChangeFailure, Connector, Gone, PoolView } from "./connector.ts";
import { placed } from "./placing.ts";

export type LocalOptions = {
  /** Of all machines that have workers. */
  readonly pools: () => readonly Ref<PoolMessage>[];
  /** One that serves; undefined: it does not. */
  readonly worker: (name: string) => Ref<ChangeRole> | undefined;
  /** What it is now, which may be another role than it was started as. */
  readonly roleOf: (name: string) => WorkerRole | undefined;
  /** From the start of a worker until it serves. */
  readonly start_ms: number;
  readonly drain_ms: number;
};

type Seen = { readonly ref: Ref<PoolMessage>; readonly pool: Pool };
type Share = { readonly seen: Seen; readonly count: number };
type Retirees = { readonly seen: Seen; readonly workers: readonly string[] };

/** What a pool answers from its memory. */
const LOOK_MS = 2_000;
/** Between two tries to reach one that is being restarted. */
const AGAIN_MS = 250;
/** For the answer, beside a start or a drain. */
const MARGIN_MS = 15_000;

/** A pool does not answer now: nothing is known, and whoever asks tries again. */
class PoolSilent extends Error {
  readonly code = "pool_silent";
}

export class LocalConnector implements Connector {
  readonly #system: ActorSystem;
  readonly #options: LocalOptions;

  constructor(system: ActorSystem, options: LocalOptions) {
    this.#system = system;
    this.#options = options;
  }

  async lead(model: string, epoch: number): Promise<void> {
    await this.#look({ model, epoch });
  }

  async view(model: string): Promise<PoolView | undefined> {
    const pools = await this.#look({}).catch(() => undefined);
    if (pools === undefined) return undefined;
    const workers = pools.flatMap(({ pool: { machine, workers } }) =>
      workers.filter((each) => each.model === model).map((each) => ({ ...each, machine })),
    );
    return {
      workers: workers.map(({ worker, machine, role, state }) => ({
        ...{ worker, machine },
        role: this.#options.roleOf(worker) ?? role,
        state: state === "starting" || state === "retiring" ? state : "serving",
      })),
    };
  }

  async add(change: Change, role: PlanRole, count: number): Promise<Added | ChangeFailure> {
    const refused = new Map<string, string>();
    const answers = await this.#insist(this.#options.start_ms + MARGIN_MS, async () => {
      const seen = await this.#look(change);
      if (this.#isOver(change, seen)) return "the cluster was started anew since it was asked for";
      const shares = sharesOf(seen, refused, change.model, count);
      const said = await Promise.all(shares.map((each) => this.#addAt(each, change, role)));
      for (const [i, { refused: why }] of said.entries()) {
        if (why !== "") refused.set(shares[i]!.seen.pool.machine, why);
      }
      const able = sharesOf(seen, refused, change.model, count);
      // Another machine may take what one refuses.
      if (said.some((each) => each.refused !== "") && able.length > 0) return undefined;
      return said;
    });
    if (typeof answers === "string") return { kind: "refused", workers: [], why: answers };
    const workers = answers.flatMap((each) => [...each.workers]);
    const why = whyOf(answers, [...refused.values()]);
    if (why === "") {
      if (answers.length > 0) return { kind: "added", workers };
      return { kind: "refused", workers, why: `no machine can start workers of ${change.model}` };
    }
    const begun = answers.some((each) => each.refused === "");
    return { kind: begun ? "failed" : "refused", workers, why };
  }

  async retire(change: Change, names: readonly string[]): Promise<Gone | ChangeFailure> {
    const answers = await this.#insist(this.#options.drain_ms + MARGIN_MS, async () => {
      const seen = await this.#look(change);
      const all = seen.map((each): Retirees => ({ seen: each, workers: ofPool(each, names) }));
      const there = all.filter(({ seen: { pool }, workers }) => pool.asked + workers.length > 0);
      return await Promise.all(there.map((each) => this.#retireAt(each, change)));
    });
    if (typeof answers === "string") return { kind: "refused", workers: [], why: answers };
    const workers = answers.flatMap(({ retired }) => retired.map(({ worker }) => worker));
    const refused = answers.flatMap((each) => (each.refused === "" ? [] : [each.refused]));
    const why = whyOf(answers, refused);
    if (why !== "") {
      return { kind: refused.length === answers.length ? "refused" : "failed", workers, why };
    }
    const unknown = names.filter((name) => !workers.includes(name));
    if (unknown.length === 0) return { kind: "gone", workers, unfinished: unfinishedIn(answers) };
    return { kind: "failed", workers, why: `no machine has a worker ${unknown.join(", ")}` };
  }

  /** A worker that has the role already says so at once, so this may be asked again. */
  async changeRole(
    _change: Change,
    names: readonly string[],
    to: PlanRole,
  ): Promise<Added | ChangeFailure> {
    const whys = await Promise.all(names.map((name) => this.#changeOne(name, to)));
    const workers = names.filter((_, i) => whys[i] === "");
    if (workers.length === names.length) return { kind: "added", workers };
    const failed = names.flatMap((name, i) => (whys[i] === "" ? [] : [`${name}: ${whys[i]}`]));
    return { kind: "failed", workers, why: failed.join("; ") };
  }

  /** One that drains already, for this change or after a crash, is waited for. */
  async #changeOne(name: string, role: PlanRole): Promise<string> {
    const { drain_ms: budget_ms, worker } = this.#options;
    const most_ms = budget_ms + MARGIN_MS;
    return await this.#insist<never>(most_ms, async () => {
      const ref = worker(name);
      if (ref === undefined) {
        const seen = await this.#look({});
        const there = seen.some((each) => ofPool(each, [name]).length > 0);
        return there ? undefined : `no machine has a worker ${name}`;
      }
      const message = { kind: "change_role", role, budget_ms } as const;
      const { why } = await this.#system.ask(ref, message, { deadline_ms: most_ms });
      return why;
    });
  }

  async #addAt({ seen, count }: Share, change: Change, role: PlanRole): Promise<WorkersAdded> {
    const { start_ms: ready_ms } = this.#options;
    const { change: name, epoch, model } = change;
    const wish = { change: name, epoch, model, role, count, ready_ms };
    const options = { deadline_ms: ready_ms + MARGIN_MS };
    return await this.#system.ask(seen.ref, { kind: "add_workers", ...wish }, options);
  }

  async #retireAt({ seen, workers }: Retirees, { change, epoch }: Change): Promise<WorkersRetired> {
    const { drain_ms: budget_ms } = this.#options;
    const message = { kind: "retire_workers", change, epoch, workers, budget_ms } as const;
    return await this.#system.ask(seen.ref, message, { deadline_ms: budget_ms + MARGIN_MS });
  }

  /** Rejects with PoolSilent: one of them does not answer, or there is none. */
  async #look({ change, epoch, model }: Partial<Change>): Promise<readonly Seen[]> {
    const look: Partial<GetPool> = {
      ...(change === undefined ? {} : { change }),
      ...(epoch === undefined ? {} : { epoch }),
      ...(model === undefined ? {} : { model }),
    };
    const refs = this.#options.pools();
    if (refs.length === 0) throw new PoolSilent("no machine with workers is known");
    try {
      return await Promise.all(
        refs.map(async (ref) => {
          const options = { deadline_ms: LOOK_MS };
          const pool = await this.#system.ask(ref, { kind: "get_pool", ...look }, options);
          return { ref, pool };
        }),
      );
    } catch (error) {
      throw new PoolSilent(`a pool of workers does not answer: ${errorText(error)}`);
    }
  }

  /**
   * What `attempt` comes to. It is tried again where it rejects or gives nothing, as each of its
   * questions may be asked again. A text: why it comes to nothing.
   */
  async #insist<Answer>(
    most_ms: number,
    attempt: () => Promise<Answer | string | undefined>,
  ): Promise<Answer | string> {
    const { clock } = this.#system.capabilities;
    const until_ms = clock.now_ms() + most_ms;
    for (;;) {
      let why = "it was not done in time";
      try {
        const answer = await attempt();
        if (answer !== undefined) return answer;
      } catch (error) {
        why = errorText(error);
      }
      if (clock.now_ms() >= until_ms) return why;
      await new Promise<void>((resolve) => void clock.after(AGAIN_MS, resolve));
    }
  }

  /** It is asked for again, and all that could have begun it is gone. */
  #isOver({ asked_ms }: Change, seen: readonly Seen[]): boolean {
    if (asked_ms === undefined || seen.some(({ pool }) => pool.asked > 0)) return false;
    const age_ms = this.#system.capabilities.clock.wall_ms() - asked_ms;
    return seen.every(({ pool }) => pool.up_ms < age_ms);
  }
}

function unfinishedIn(answers: readonly WorkersRetired[]): number {
  const all = answers.flatMap(({ retired }) => retired);
  return all.reduce((sum, { unfinished }) => sum + unfinished, 0);
}

function sharesOf(
  seen: readonly Seen[],
  refused: ReadonlyMap<string, string>,
  model: string,
  count: number,
): readonly Share[] {
  const machines = seen.map(({ pool }) => {
    const { machine, cores, workers } = pool;
    const able = pool.models.includes(model) && !refused.has(machine);
    return {
      ...{ machine, cores, able, workers: workers.length },
      asked: refused.has(machine) ? 0 : pool.asked,
    };
  });
  const shares = placed(machines, count);
  return seen.flatMap((each) => {
    const share = shares.get(each.pool.machine) ?? 0;
    return share === 0 ? [] : [{ seen: each, count: share }];
  });
}

const ofPool = ({ pool }: Seen, names: readonly string[]): readonly string[] =>
  pool.workers.map(({ worker }) => worker).filter((worker) => names.includes(worker));

/** Empty: all was done. */
function whyOf(
  answers: readonly { readonly failed: readonly WorkerFailure[] }[],
  refused: readonly string[],
): string {
  const failed = answers.flatMap((each) =>
    each.failed.map(({ worker, why }) => `${worker}: ${why}`),
  );
  return [...failed, ...refused].join("; ");
}
