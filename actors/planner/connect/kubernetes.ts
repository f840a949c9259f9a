/**
 * The Kubernetes connector: it changes the replicas of a DynamoGraphDeployment, or of the scaling
 * adapter that owns them, and sees by looking when the operator has made it so. Each change is
 * noted at the graph in the same patch, so that it is joined and not done twice.
 *
 * A graph that is not ready gets no new change, but not for ever: what has not started can always
 * be taken back, and after a time all else goes on too.
 */
import type { Clock, Log } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import { sleep } from "../outside/timed.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";
import type { Added, Change, ChangeFailure, Connector, Gone, PoolView } from "./connector.ts";
import { type KubernetesApi, KubernetesError } from "./kubernetes-api.ts";
import { type Asking, type Ended, endOf, servingOf, whyNot, workersOf } from "./kubernetes-ends.ts";
import {
  adaptedOf,
  componentOf,
  type Graph,
  type GraphComponent,
  GraphFormError,
  graphOf,
  isStarting,
  NOTE,
  type NotedChange,
  patchOf,
  podName,
  roleIn,
  versionsOf,
} from "./kubernetes-graph.ts";
import { Together } from "./together.ts";

export type KubernetesOptions = {
  readonly api: KubernetesApi;
  /** Name of the DynamoGraphDeployment. */
  readonly graph: string;
  readonly mode: PlannerConfig["mode"];
  readonly clock: Clock;
  readonly log: Log;
  /** Between two looks while a change goes on, and how long it may take. */
  readonly check_ms: number;
  readonly wait_ms: number;
  /** A graph that is not ready for so long is changed all the same. */
  readonly patience_ms?: number;
};

type Asked = Pick<Change, "change" | "epoch" | "model"> &
  (
    | { readonly kind: "add"; readonly role: PlanRole; readonly count: number }
    | { readonly kind: "retire"; readonly workers: readonly string[] }
    | { readonly kind: "change_role"; readonly workers: readonly string[]; readonly to: PlanRole }
  );
/** What is new to be noted, or is noted already. */
type Plan = { readonly news?: NotedChange[]; readonly noted?: NotedChange[] };
const GROUP = "nvidia.com";
/** The newest first. */
const VERSIONS = ["v1beta1", "v1alpha1"] as const;
const PATIENCE_MS = 600_000;
const TRIES = 6;
const AGAIN_MS = 50;

const refused = (why: string): Ended => ({ kind: "refused", workers: [], why });

export class KubernetesConnector implements Connector {
  readonly #options: Required<KubernetesOptions>;
  readonly #together: Together<Asked, Ended | undefined>;
  #version: string | undefined = undefined;
  /** Said once, until the graph is read again. */
  #blind_why = "";
  /** Said once, until there is a note that can be read. */
  #note_broken = false;
  /** First seen not ready, where the operator does not say since when. */
  #unready_ms: number | undefined = undefined;
  #closed = false;

  constructor(options: KubernetesOptions) {
    this.#options = { patience_ms: PATIENCE_MS, ...options };
    this.#together = new Together(options.clock, (asked) => this.#carryOut(asked));
  }

  async lead(model: string, epoch: number): Promise<void> {
    await this.#together.inTurn(() =>
      this.#write({ epoch, model }, ({ note }) => {
        return note.epoch === epoch && note.model === model ? { noted: [] } : { news: [] };
      }),
    );
  }

  /** The planner's model is the only one of its graph. */
  async view(): Promise<PoolView | undefined> {
    const { log } = this.#options;
    try {
      const { components } = await this.#read();
      if (this.#blind_why !== "") log.log("info", "the graph is read again");
      this.#blind_why = "";
      return { workers: components.flatMap(workersOf) };
    } catch (error) {
      const why = errorText(error);
      if (why !== this.#blind_why) log.log("warn", "the graph cannot be read", { error: why });
      this.#blind_why = why;
      return undefined;
    }
  }

  async add(change: Change, role: PlanRole, count: number): Promise<Added | ChangeFailure> {
    return added(await this.#ask({ ...change, kind: "add", role, count }));
  }

  async retire(change: Change, workers: readonly string[]): Promise<Gone | ChangeFailure> {
    const ended = await this.#ask({ ...change, kind: "retire", workers });
    if (ended.kind !== "done") return { ...ended, kind: ended.kind };
    return { kind: "gone", workers: ended.workers };
  }

  /** A pod keeps its role: as many of the other role are started as go. */
  async changeRole(
    change: Change,
    workers: readonly string[],
    to: PlanRole,
  ): Promise<Added | ChangeFailure> {
    return added(await this.#ask({ ...change, kind: "change_role", workers, to }));
  }

  close(): void {
    this.#closed = true;
  }

  async #ask(asked: Asked): Promise<Ended> {
    return (await this.#together.ask(asked)) ?? (await this.#settled(asked));
  }

  // ---- what is written -------------------------------------------------------------------------

  /** Undefined: it is noted at the graph, now or from before. */
  async #carryOut(asked: readonly Asked[]): Promise<Ended | undefined> {
    const epoch = Math.max(...asked.map((each) => each.epoch));
    const [{ model } = { model: "" }] = asked;
    try {
      await this.#write({ epoch, model }, (graph) => {
        const known = new Set(graph.note.changes.map(({ change }) => change));
        const fresh = asked.filter(({ change }) => !known.has(change) && known.add(change));
        if (fresh.length > 0) return { news: this.#planned(graph, fresh) };
        const again = asked.map(({ change }) => change);
        return { noted: graph.note.changes.filter(({ change }) => again.includes(change)) };
      });
      return undefined;
    } catch (error) {
      return refused(errorText(error));
    }
  }

  /** Throws NotNowError when the graph must not be changed so, or not now. */
  #planned(graph: Graph, fresh: readonly Asked[]): NotedChange[] {
    const wanted = new Map(graph.components.map(({ name, wanted: now }) => [name, now]));
    const changes: NotedChange[] = [];
    let takes_back = true;
    const move = (change: string, one: GraphComponent, by: number, named: readonly string[]) => {
      const from = wanted.get(one.name) ?? 0;
      const to = Math.max(0, from + by);
      const news = Array.from({ length: by }, (_, i) => podName(one, from + i + 1));
      wanted.set(one.name, to);
      const workers = by > 0 ? news : [...named];
      changes.push({ change, component: one.name, from, to, workers });
    };
    for (const one of fresh) {
      if (one.kind === "add") {
        move(one.change, must(roleIn(graph, one.role)), one.count, []);
        takes_back = false;
        continue;
      }
      for (const [from, workers] of grouped(graph, one.workers)) {
        move(one.change, from, -workers.length, workers);
        takes_back &&= workers.every((worker) => isStarting(from, worker));
      }
      if (one.kind === "retire") continue;
      move(one.change, must(roleIn(graph, one.to)), one.workers.length, []);
      takes_back = false;
    }
    if (!takes_back) this.#mayChange(graph);
    return changes;
  }

  #mayChange(graph: Graph): void {
    const now_ms = this.#options.clock.wall_ms();
    this.#unready_ms = graph.ready ? undefined : (this.#unready_ms ?? now_ms);
    if (this.#unready_ms === undefined) return;
    const { patience_ms } = this.#options;
    const for_ms = now_ms - Math.min(this.#unready_ms, graph.since_ms ?? this.#unready_ms);
    if (for_ms >= patience_ms) return;
    const seconds = Math.round(for_ms / 1_000);
    throw new NotNowError(`the graph is not ready for ${seconds} s: ${graph.why}`);
  }

  /** Reads again and tries again when somebody else has written, or no answer came. */
  async #write(who: Asking, plan: (graph: Graph) => Plan): Promise<void> {
    let last: unknown;
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0) await sleep(this.#options.clock, AGAIN_MS * 2 ** tries);
      try {
        const graph = await this.#read();
        const wrong = whyNot(graph.note, who);
        if (wrong !== undefined) throw new NotNowError(wrong);
        const { news, noted } = plan(graph);
        if (news !== undefined) {
          const operations = patchOf(graph, who, news);
          const path = this.#path("dynamographdeployments", this.#options.graph);
          await this.#options.api.patch(path, "application/json-patch+json", operations);
        }
        await this.#adapt(graph, news ?? noted ?? [], news !== undefined);
        return;
      } catch (error) {
        if (!isPassing(error)) throw error;
        last = error;
      }
    }
    throw last;
  }

  /** What is noted of components that adapters own, said to the adapters. */
  async #adapt(graph: Graph, changes: readonly NotedChange[], news: boolean): Promise<void> {
    for (const { name, adapted, wanted } of graph.components) {
      const mine = changes.findLast(({ component }) => component === name);
      const last = graph.note.changes.findLast(({ component }) => component === name);
      // A change that is joined says nothing any more once a later one was noted.
      if (!adapted || mine === undefined || (!news && mine !== last)) continue;
      if (mine.to === wanted) continue;
      const path = `${this.#adapter(name)}/scale`;
      await this.#options.api.patch(path, "application/merge-patch+json", {
        spec: { replicas: mine.to },
      });
    }
  }

  // ---- what is read ----------------------------------------------------------------------------

  async #read(): Promise<Graph> {
    const { api, graph: name, mode } = this.#options;
    this.#version ??= await this.#newest();
    const graph = graphOf(await api.get(this.#path("dynamographdeployments", name)), mode);
    if (graph.note_broken && !this.#note_broken) {
      const why = `the annotation ${NOTE} of ${name} cannot be read and counts as none`;
      this.#options.log.log("warn", `planner: ${why}: the next change writes it anew`);
    }
    this.#note_broken = graph.note_broken;
    const components = await Promise.all(
      graph.components.map(async (one) => {
        if (!one.adapted) return one;
        const wanted = adaptedOf(await api.get(this.#adapter(one.name)), one.name);
        return { ...one, wanted: wanted ?? one.wanted };
      }),
    );
    return { ...graph, components };
  }

  async #newest(): Promise<string> {
    const versions = versionsOf(await this.#options.api.get(`/apis/${GROUP}`));
    const found = VERSIONS.find((one) => versions.includes(one));
    if (found !== undefined) return found;
    throw new KubernetesError(404, `the cluster has none of ${GROUP}/${VERSIONS.join(", ")}`);
  }

  #path(plural: string, name: string): string {
    const { namespace } = this.#options.api;
    return `/apis/${GROUP}/${this.#version}/namespaces/${namespace}/${plural}/${name}`;
  }

  /** The operator names it so. */
  #adapter(component: string): string {
    const name = `${this.#options.graph}-${component.toLowerCase()}`;
    return this.#path("dynamographdeploymentscalingadapters", name);
  }

  // ---- how it ends -----------------------------------------------------------------------------

  async #settled({ change, epoch, model }: Asked): Promise<Ended> {
    const { clock, check_ms, wait_ms } = this.#options;
    const end_ms = clock.now_ms() + wait_ms;
    let why = `the operator did not do it within ${Math.round(wait_ms / 1_000)} s`;
    while (!this.#closed && clock.now_ms() < end_ms) {
      const looked = await this.#read().catch((error: unknown) => errorText(error));
      if (typeof looked !== "string") {
        const ended = endOf(looked, change);
        if (ended !== undefined) return ended;
        if (looked.failed) {
          why = looked.why;
          break;
        }
      }
      await sleep(clock, check_ms);
    }
    if (this.#closed) return { kind: "failed", workers: [], why: "the planner stops" };
    return await this.#giveUp(change, { epoch, model }, why);
  }

  /** What did not start is wanted no more: else it would come when nobody expects it. */
  async #giveUp(change: string, who: Asking, why: string): Promise<Ended> {
    const back = `${change}-back`;
    let workers: readonly string[] = [];
    const undo = (graph: Graph): Plan => {
      const mine = graph.note.changes.filter((each) => each.change === change);
      workers = mine.flatMap((each) => servingOf(graph, each));
      const noted = graph.note.changes.filter((each) => each.change === back);
      if (noted.length > 0) return { noted };
      const news = mine.flatMap((each) => {
        const one = graph.components.find(({ name }) => name === each.component);
        const missing = one === undefined ? 0 : Math.max(0, one.wanted - one.serving);
        const less = Math.min(missing, each.to - each.from);
        if (one === undefined || less <= 0) return [];
        const [from, to] = [one.wanted, one.wanted - less];
        return [{ change: back, component: one.name, from, to, workers: [] }];
      });
      return news.length === 0 ? {} : { news };
    };
    try {
      await this.#together.inTurn(() => this.#write(who, undo));
      return { kind: "failed", workers, why };
    } catch (error) {
      const still = `it is still wanted, as it could not be taken back: ${errorText(error)}`;
      return { kind: "failed", workers, why: `${why}; ${still}` };
    }
  }
}

/** The graph as it is stands against the change; nothing was begun. */
class NotNowError extends Error {
  readonly code = "not_now";
}

/** Somebody wrote at the same time, the server is busy, or nothing came back. */
function isPassing(error: unknown): boolean {
  if (error instanceof NotNowError || error instanceof GraphFormError) return false;
  if (!(error instanceof KubernetesError)) return true;
  return [409, 422, 429].includes(error.status) || error.status >= 500;
}

function must(found: GraphComponent | string): GraphComponent {
  if (typeof found === "string") throw new NotNowError(found);
  return found;
}

function grouped(graph: Graph, workers: readonly string[]): Map<GraphComponent, string[]> {
  const groups = new Map<GraphComponent, string[]>();
  for (const worker of workers) {
    const one = must(componentOf(graph, worker) ?? `there is no worker ${worker} in the graph`);
    groups.set(one, [...(groups.get(one) ?? []), worker]);
  }
  return groups;
}

const added = (ended: Ended): Added | ChangeFailure =>
  ended.kind === "done"
    ? { kind: "added", workers: ended.workers }
    : { ...ended, kind: ended.kind };
