/** The child processes that a root starts, with the boot record of each. Pure. */
import { isLoopbackHost } from "../actors/inspector/inspector.ts";
import type { WorkerRole } from "../proto/index.ts";
import type { Boot, FrontendBoot, KvBoot, PlannerBoot, RouterBoot, WorkerBoot } from "./boot.ts";
import type { FoundModel } from "./found-models.ts";
import type { Machine } from "./machine.ts";
import { recordOf } from "./recording/recording.ts";
import { kvFolder } from "./settings/kv-folder.ts";
import type { Settings } from "./settings/settings.ts";
import { templateFor } from "./settings/template-settings.ts";
import { hasWorkers, namedAfter, totalOf, type WorkerCount } from "./settings/worker-counts.ts";
import { type CpuRange, keptTo } from "./settings/workers/worker-cpus.ts";
import { marksByWorker } from "./settings/workers/worker-marks.ts";

export type BootSource = {
  readonly settings: Settings;
  readonly machine: Pick<Machine, "root" | "prefix">;
  /** Where the root's registry listens. */
  readonly registry_address: string;
  /** Free port of the frontends. */
  readonly port: number;
  readonly run_folder: string;
  readonly cache_folder: string;
  readonly data_folder: string;
  readonly assets_folder: string;
  readonly version: string;
  readonly inspector_url: string;
};

export type ChildBoot = {
  /** Its name, and its slot's. */
  readonly node: string;
  readonly boot: Boot;
  /** Bytes that its engines have to read before they can answer. */
  readonly weight_bytes: number;
  /** A program that runs it. */
  readonly under?: readonly string[];
  /** CPUs that it is kept to; undefined: wherever the system puts it. */
  readonly cpus?: CpuRange;
};

export type WorkerChild = ChildBoot & { readonly boot: WorkerBoot };

export const isWorkerChild = (child: ChildBoot): child is WorkerChild =>
  child.boot.role === "worker";

/** Blocks' keeper, workers, routers, planner, frontends, as far as the machine's role has them. */
export function childBoots(
  source: BootSource,
  models: readonly FoundModel[],
): readonly ChildBoot[] {
  const { role, frontends, routers, planner } = source.settings;
  const { prefix } = source.machine;
  const several = (count: number, name: string, boot: () => Boot): ChildBoot[] =>
    Array.from({ length: count }, (_, i) => {
      return { node: `${prefix}${name}-${i}`, boot: boot(), weight_bytes: 0 };
    });
  const { cpus } = source.settings;
  let process = 0;
  const workers = models.flatMap((model, index) =>
    source.settings.workers.flatMap((counted, kind) =>
      workerNames(source.settings, counted, index, prefix).map((names, i): ChildBoot => {
        const first = kind + i === 0;
        const sharers = totalOf(source.settings.workers) * models.length;
        const boot = workerBoot(source, model, { role: counted.role, names, first, sharers });
        return placed(model, boot, cpus[process++ % cpus.length]);
      }),
    ),
  );
  const keeps = models.length > 0 && source.settings.kv.host_bytes > 0;
  const kv = {
    ...{ node: `${prefix}kv`, boot: kvBoot(source, models.length) },
    // Its memory is read by nobody, but the system has to find as much.
    weight_bytes: source.settings.kv.host_bytes,
  };
  const alone = role === "router" ? Math.max(1, routers) : role === "planner" ? 0 : routers;
  const serving = role === "all" || role === "frontend" ? frontends : 0;
  return [
    ...(keeps ? [kv] : []),
    ...workers,
    ...several(!hasWorkers(role) || role === "all" ? alone : 0, "router", () => routerBoot(source)),
    ...(planner === undefined ? [] : several(1, "planner", () => plannerBoot(source, planner))),
    ...several(serving, "frontend", () => frontendBoot(source)),
  ];
}

/** One more worker, in a process of its own. */
export function addedChild(
  source: BootSource,
  model: FoundModel,
  worker: Omit<WorkersOfBoot, "first">,
  range: CpuRange | undefined,
): WorkerChild {
  return placed(model, workerBoot(source, model, { ...worker, first: false }), range);
}

function placed(model: FoundModel, boot: WorkerBoot, range: CpuRange | undefined): WorkerChild {
  const child = { node: boot.workers[0] ?? "worker", boot, weight_bytes: model.weight_bytes };
  return range === undefined ? child : onCpus(child, range);
}

function commonBoot(source: BootSource) {
  const { settings, machine, registry_address, run_folder, cache_folder, assets_folder } = source;
  const { log_level, planes, namespace, drain_timeout_ms } = settings;
  return {
    ...{ log_level, planes, namespace, drain_timeout_ms },
    ...{ registry_address, run_folder, cache_folder, assets_folder },
    root_node: machine.root,
    record: recordOf(settings, source.version),
  };
}

/** An engine has as many threads as CPUs, unless it was said how many. */
function onCpus(child: WorkerChild, range: CpuRange): WorkerChild {
  const { engine } = child.boot;
  const threads = engine.common.threads || range.last - range.first + 1;
  const own = { ...engine, common: { ...engine.common, threads } };
  const boot = { ...child.boot, engine: own };
  return { ...child, boot, under: keptTo(range), cpus: range };
}

type WorkersOfBoot = {
  readonly role: WorkerRole;
  readonly names: readonly string[];
  readonly first: boolean;
  /** Workers that share this machine's free memory. */
  readonly sharers: number;
};

function workerBoot(
  source: BootSource,
  model: FoundModel,
  { role: worker_role, names: workers, first, sharers }: WorkersOfBoot,
): WorkerBoot {
  const { settings, machine } = source;
  const { engine, keep } = settings;
  return {
    ...commonBoot(source),
    role: "worker",
    worker_role,
    engine,
    workers,
    first,
    labels: marksByWorker(settings.worker_labels, workers, machine.prefix),
    taints: marksByWorker(settings.worker_taints, workers, machine.prefix),
    model_path: model.path,
    draft_path: model.draft_path,
    model_name: model.name,
    chat_template: templateFor(settings.chat_templates, model.name),
    ...{ sharers, keep, fit: model.fit },
    tiers: settings.kv.host_bytes > 0,
  };
}

function frontendBoot(source: BootSource): FrontendBoot {
  const { settings, port, version, data_folder, inspector_url } = source;
  return {
    ...commonBoot(source),
    role: "frontend",
    // Only hashes of keys leave the root.
    settings: { ...settings.frontend, api_keys: [], port },
    share_port: settings.frontends > 1,
    router: settings.router,
    ...{ version, data_folder, inspector_url },
    shows_content: showsContent(settings.inspector),
  };
}

/** Texts of clients are for whoever sits at this machine, unless it was said otherwise. */
export const showsContent = ({ content, host }: Settings["inspector"]): boolean =>
  content === "always" || (content === "loopback" && isLoopbackHost(host));

const routerBoot = (source: BootSource): RouterBoot => ({
  ...commonBoot(source),
  role: "router",
  router: source.settings.router,
});

const kvBoot = (source: BootSource, models: number): KvBoot => ({
  ...commonBoot(source),
  role: "kv",
  kv: {
    ...source.settings.kv,
    disk_dir: kvFolder(source),
  },
  models,
});

const plannerBoot = (
  source: BootSource,
  planner: NonNullable<Settings["planner"]>,
): PlannerBoot => ({
  ...commonBoot(source),
  role: "planner",
  ...{ planner, data_folder: source.data_folder },
});

/** Names of one model's workers of a role, by process; a process is named after its first. */
function workerNames(
  settings: Settings,
  { role, count: all }: WorkerCount,
  model_index: number,
  prefix: string,
): string[][] {
  const each = settings.engine.workers_per_process;
  const processes = Math.ceil(all / each);
  return Array.from({ length: processes }, (_, process) => {
    const first = process * each;
    const count = Math.min(each, all - first);
    const from = model_index * all + first;
    return Array.from({ length: count }, (_item, i) => `${prefix}${namedAfter(role)}-${from + i}`);
  });
}
