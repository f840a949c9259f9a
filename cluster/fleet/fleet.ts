/**
 * The workers of this machine: those of its start, those that came later, and those on their way
 * out. A change is begun once, goes on whatever happens to the actor that was asked for it, and
 * ends with an answer: what serves, what was given up and why.
 *
 *   add      name, slot, process ──ready──▶ serving        (not ready in its budget: given up)
 *   retire   no next life, drain ──▶ end of its slot ──▶ forgotten
 *
 * A worker whose process ended starts again until the registry has it: one that keeps ending is
 * not taken for one that serves.
 */
import { ChangeBook, type Workforce } from "../../actors/pool/pool.ts";
import type {
  AddWorkers,
  ControlActor,
  Drain,
  GetPool,
  InspectMessage,
  Pool,
  RetiredWorker,
  RetireWorkers,
  WorkerFailure,
  WorkerRole,
  WorkersAdded,
  WorkersRetired,
} from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { workerPaths } from "../../supervisors/paths.ts";
import { addedChild, type BootSource, type WorkerChild } from "../child-boots.ts";
import { type Discovery, keys } from "../discovery.ts";
import type { FoundModel } from "../found-models.ts";
import { readyBudget_ms } from "../start-budget.ts";
import { type Children, ChildStartError } from "./children.ts";
import { byName, freestCpus, WorkerNumbers } from "./worker-names.ts";

export type FleetParts = {
  readonly system: ActorSystem;
  readonly discovery: Discovery;
  readonly children: Children;
  readonly source: BootSource;
  readonly models: readonly FoundModel[];
  /** Processors of this machine. */
  readonly cores: number;
};

type State = "starting" | "serving" | "retiring";

/** A process, and those of its workers that are not retired. */
type Crew = { readonly child: WorkerChild; readonly workers: string[] };

type Member = {
  readonly worker: string;
  readonly crew: Crew;
  readonly change: string | undefined;
  /** What it was last heard to be: a worker may get another role while it runs. */
  role: WorkerRole;
  state: State;
  since_ms: number;
};

/** As many as --workers may name; a larger wish is a slip. */
const ADD_MOST = 256;
/** A process that was killed while it started, or lost its supervisor, is tried again. */
const TRIES = 3;
const ANSWER_MS = 1_000;
/** An actor inside a process that goes on. */
const RETIRE_MS = 6_000;

export class Fleet implements Workforce {
  readonly #parts: FleetParts;
  readonly #book = new ChangeBook();
  readonly #members = new Map<string, Member>();
  readonly #numbers: WorkerNumbers;
  readonly #since_ms: number;

  /** @param children the workers that the cluster is started with */
  constructor(parts: FleetParts, children: readonly WorkerChild[]) {
    this.#parts = parts;
    this.#since_ms = parts.system.capabilities.clock.now_ms();
    for (const child of children) this.#enlist(child, undefined, "serving");
    const { prefix } = parts.source.machine;
    const names = [...this.#members.keys()].map((name) => name.slice(prefix.length));
    this.#numbers = new WorkerNumbers(names);
    parts.discovery.watchWorkers((change) => {
      if (change.kind === "gone") this.#move(change.worker, "serving", "starting");
      if (change.kind !== "up") return;
      const { worker, role } = change.record;
      this.#heardRole(worker, role);
      this.#move(worker, "starting", "serving");
    });
  }

  /** Should its process end, its next life has the role that it had last. */
  #heardRole(worker: string, role: WorkerRole): void {
    const member = this.#members.get(worker);
    if (member === undefined || member.role === role) return;
    member.role = role;
    const { child, workers } = member.crew;
    // Workers of one process are started in one role.
    if (workers.length > 1) return;
    this.#parts.children.refit(child.node, { ...child.boot, workers, worker_role: role });
  }

  #move(worker: string, from: State, to: State): void {
    const member = this.#members.get(worker);
    if (member?.state === from) this.#setState(member, to);
  }

  add(change: AddWorkers): Promise<WorkersAdded> {
    const { epoch, count: asked } = change;
    const about = this.#modelOf(change.model)?.name ?? "";
    const named = { name: `add ${change.change}`, epoch, about, asked };
    const answer = this.#book.once(named, () => this.#add(change));
    return answer ?? Promise.resolve(noneAdded(change.change, this.#late(epoch, about)));
  }

  retire(change: RetireWorkers): Promise<WorkersRetired> {
    const { epoch, workers } = change;
    const member = workers.map((worker) => this.#members.get(worker)).find((each) => each);
    const about = member?.crew.child.boot.model_name ?? "";
    const named = { name: `retire ${change.change}`, epoch, about, asked: workers.length };
    const answer = this.#book.once(named, () => this.#retire(change));
    return answer ?? Promise.resolve(noneRetired(change.change, this.#late(epoch, about)));
  }

  pool({ change, epoch = 0, model = "" }: Partial<GetPool> = {}): Pool {
    const { source, models, system, cores } = this.#parts;
    if (epoch > 0 && model !== "") this.#book.raise(model, epoch);
    const now_ms = system.capabilities.clock.now_ms();
    const workers = [...this.#members.values()].map((member) => {
      const { worker, crew, role, state, since_ms, change } = member;
      const { node, boot } = crew.child;
      const { model_name: model } = boot;
      const added = change !== undefined;
      const state_ms = now_ms - since_ms;
      return { worker, process: node, model, role, state, added, state_ms, change: change ?? "" };
    });
    return {
      kind: "pool",
      machine: source.machine.root,
      epoch: this.#book.epoch,
      workers: workers.sort((a, b) => byName(a.worker, b.worker)),
      models: models.map(({ name }) => name),
      asked: this.#book.asked(`add ${change}`) || this.#book.asked(`retire ${change}`),
      cores,
      up_ms: now_ms - this.#since_ms,
      pairs: source.settings.workers.some(({ role }) => role !== "aggregated"),
    };
  }

  #late(epoch: number, about: string): string {
    return `epoch ${epoch} is over: epoch ${this.#book.epochOf(about)} decides now`;
  }

  #setState(member: Member, state: State): void {
    member.state = state;
    member.since_ms = this.#parts.system.capabilities.clock.now_ms();
  }

  /** `change`: what asked for it; undefined: the cluster was started with it. */
  #enlist(child: WorkerChild, change: string | undefined, state: State): Member[] {
    const crew: Crew = { child, workers: [...child.boot.workers] };
    const since_ms = this.#parts.system.capabilities.clock.now_ms();
    return child.boot.workers.map((worker) => {
      const { worker_role: role } = child.boot;
      const member: Member = { worker, crew, change, role, state, since_ms };
      this.#members.set(worker, member);
      return member;
    });
  }

  // ---- more workers --------------------------------------------------------------------------

  async #add(change: AddWorkers): Promise<WorkersAdded> {
    const { source, children } = this.#parts;
    const { count, ready_ms } = change;
    const model = this.#modelOf(change.model);
    const role = change.role ?? source.settings.workers.at(-1)?.role ?? "aggregated";
    const refused = this.#whyNot(change, model, role);
    if (refused !== undefined || model === undefined) {
      return noneAdded(change.change, refused ?? "there is no such model");
    }
    const failed: WorkerFailure[] = [];
    const workers: string[] = [];
    const sharers = this.#members.size + count;
    const news = Array.from({ length: count }, () =>
      this.#next(model, role, sharers, change.change),
    );
    await Promise.all(
      news.map(async ({ child, members }) => {
        try {
          await this.#start(child, ready_ms || readyBudget_ms(child.weight_bytes));
          workers.push(child.node);
          for (const member of members) {
            if (member.state === "starting") this.#setState(member, "serving");
          }
        } catch (error) {
          failed.push({ worker: child.node, why: errorText(error) });
          this.#dismiss(members);
        }
      }),
    );
    if (children.closed) failed.push({ worker: "", why: "the cluster stops" });
    return {
      ...{ kind: "workers_added", change: change.change, refused: "" },
      workers: workers.sort(byName),
      failed: failed.sort((a, b) => byName(a.worker, b.worker)),
    };
  }

  /** One line that says why nothing is begun, and what to do. */
  #whyNot(
    { count, model: wanted }: AddWorkers,
    model: FoundModel | undefined,
    role: WorkerRole,
  ): string | undefined {
    const { source, models, children } = this.#parts;
    if (children.closed) return "the cluster stops";
    if (models.length === 0) return "this machine has no models: it was started without workers";
    if (model === undefined) {
      const names = models.map(({ name }) => name).join(", ");
      return `this machine has no model "${wanted}"; it can start workers of ${names}`;
    }
    if (!(count >= 1 && count <= ADD_MOST)) return `1 to ${ADD_MOST} workers at once, not ${count}`;
    if (role === "prefill" && source.settings.kv.host_bytes === 0) {
      return (
        "a prefill worker hands blocks over in memory that all workers share, and this machine " +
        "was started without it: start it with --prefill and --decode, or with --kv-host-bytes"
      );
    }
    return undefined;
  }

  #modelOf(name: string): FoundModel | undefined {
    const { models } = this.#parts;
    return name === "" ? models[0] : models.find((model) => model.name === name);
  }

  /** Enlists one more worker: from here on its name and its CPUs are taken. */
  #next(model: FoundModel, role: WorkerRole, sharers: number, change: string) {
    const { source } = this.#parts;
    const names = [source.machine.prefix + this.#numbers.take(role)];
    const crews = new Set([...this.#members.values()].map(({ crew }) => crew));
    const taken = [...crews].map(({ child }) => child.cpus);
    const range = freestCpus(source.settings.cpus, taken);
    const child = addedChild(source, model, { role, names, sharers }, range);
    return { child, members: this.#enlist(child, change, "starting") };
  }

  /** All tries together have the budget. */
  async #start(child: WorkerChild, ready_ms: number): Promise<void> {
    const { children, system } = this.#parts;
    const { clock } = system.capabilities;
    const until_ms = clock.now_ms() + ready_ms;
    for (let tries = 1; ; tries++) {
      try {
        await children.start(child, Math.ceil(until_ms - clock.now_ms()));
        return;
      } catch (error) {
        const final = error instanceof ChildStartError && error.final;
        const wanted = this.#members.get(child.node)?.state === "starting";
        const late = clock.now_ms() >= until_ms;
        if (final || !wanted || late || children.closed || tries === TRIES) throw error;
      }
    }
  }

  #dismiss(members: readonly Member[]): void {
    for (const member of members) {
      if (this.#members.get(member.worker) === member) this.#members.delete(member.worker);
    }
  }

  // ---- fewer workers -------------------------------------------------------------------------

  async #retire({ change, workers, budget_ms }: RetireWorkers): Promise<WorkersRetired> {
    const budget = budget_ms || this.#parts.source.settings.drain_timeout_ms;
    const retired: RetiredWorker[] = [];
    const failed: WorkerFailure[] = [];
    if (workers.length === 0) return noneRetired(change, "name the workers that are to go");
    await Promise.all(
      [...new Set(workers)].map(async (worker) => {
        const member = this.#members.get(worker);
        try {
          if (member === undefined) throw new Error(this.#unknown(worker));
          retired.push(await this.#retireOne(member, budget));
        } catch (error) {
          failed.push({ worker, why: errorText(error) });
        }
      }),
    );
    return {
      ...{ kind: "workers_retired", change, refused: "" },
      retired: retired.sort((a, b) => byName(a.worker, b.worker)),
      failed: failed.sort((a, b) => byName(a.worker, b.worker)),
    };
  }

  #unknown(worker: string): string {
    const names = [...this.#members.keys()].sort(byName);
    const shown = names.length > 16 ? [...names.slice(0, 16), "…"] : names;
    return `there is no worker ${worker} here; there are ${shown.join(", ") || "none"}`;
  }

  async #retireOne(member: Member, budget_ms: number): Promise<RetiredWorker> {
    const { children } = this.#parts;
    const { worker, crew } = member;
    const { node, boot } = crew.child;
    if (member.state === "retiring") throw new Error(`${worker} is on its way out already`);
    const starts = member.state === "starting";
    this.#setState(member, "retiring");
    crew.workers.splice(crew.workers.indexOf(worker), 1);
    const alone = crew.workers.length === 0;
    // Should the process end meanwhile, its next life is without this worker.
    if (!alone) children.refit(node, { ...boot, workers: [...crew.workers] });
    try {
      const drained = starts ? nothing : await this.#drained(worker, budget_ms);
      if (alone) await children.end(node);
      else await this.#retireInside(node, worker);
      const { finished, unfinished } = drained;
      return { worker, model: boot.model_name, role: member.role, finished, unfinished };
    } finally {
      this.#dismiss([member]);
    }
  }

  /** A worker that does not answer is not waited for: its answers go on elsewhere. */
  async #drained(worker: string, budget_ms: number) {
    const { system, discovery } = this.#parts;
    const ref = discovery.owner<Drain>(keys.worker(""), worker);
    const drain = { kind: "drain", budget_ms, nobody_follows: false } as const;
    const options = { deadline_ms: budget_ms + ANSWER_MS };
    const answer = ref && (await system.ask(ref, drain, options).catch(() => undefined));
    return answer ?? nothing;
  }

  /** The other workers of its process go on. */
  async #retireInside(node: string, worker: string): Promise<void> {
    const { system, discovery } = this.#parts;
    const inspector = discovery.owner<InspectMessage>(keys.process(""), node);
    const path = `${workerPaths.top}/${worker}`;
    const retire: ControlActor = { kind: "control_actor", path, action: "retire" };
    // A process that is gone comes back without it.
    const options = { deadline_ms: RETIRE_MS };
    await (inspector && system.ask(inspector, retire, options).catch(() => undefined));
  }
}

const nothing = { finished: 0, unfinished: 0 };

const noneAdded = (change: string, refused: string): WorkersAdded => ({
  ...{ kind: "workers_added", change, workers: [], failed: [], refused },
});

const noneRetired = (change: string, refused: string): WorkersRetired => ({
  ...{ kind: "workers_retired", change, retired: [], failed: [], refused },
});
