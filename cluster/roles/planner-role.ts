/** The process that decides how many workers there are, for each model that is served. */
import { LocalConnector } from "../../actors/planner/connect/local.ts";
import { PlannerJournal } from "../../actors/planner/journal/journal.ts";
import { LiveConfigs } from "../../actors/planner/live-configs.ts";
import { ClusterObserver } from "../../actors/planner/observe/cluster-observer.ts";
import { prometheusKeys } from "../../actors/planner/observe/prometheus.ts";
import {
  checkEnvironment,
  kubernetesEnvironment,
  virtualEnvironment,
} from "../../actors/planner/outside/environments.ts";
import { serveMetrics } from "../../actors/planner/outside/metrics-door.ts";
import { serveMinEndpoints } from "../../actors/planner/outside/min-endpoints.ts";
import { neverReady } from "../../actors/planner/outside/never-ready.ts";
import type { PlannerConfig } from "../../actors/planner/pipeline/config.ts";
import type { ReadConfig } from "../../actors/planner/pipeline/read-config.ts";
import { type NameHolder, PlannerActor } from "../../actors/planner/planner-actor.ts";
import { plannerConfig } from "../../actors/planner/planner-config.ts";
import {
  type PlannerFiles,
  partsWith,
  readPlannerFiles,
} from "../../actors/planner/planner-files.ts";
import { type FoundModel, plannerIdOf } from "../../actors/planner/planner-roll.ts";
import type { ChangeRole, InspectMessage, PoolMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import type { RedisCalls } from "../../runtime/store/redis-calls.ts";
import type { ChildSpec } from "../../runtime/supervision/child-spec.ts";
import type { SupervisorMessage } from "../../runtime/supervision/supervisor.ts";
import { plannerPaths } from "../../supervisors/paths.ts";
import { plannerTree } from "../../supervisors/planner-tree.ts";
import { DEFAULT_NAMESPACE, type PlannerBoot } from "../boot.ts";
import { type Discovery, keys } from "../discovery.ts";
import { announce, holdsName } from "../keep-registered.ts";
import type { Role, RoleParts } from "./role.ts";

export const plannerRole: Role<PlannerBoot> = {
  async tree(boot, parts) {
    const { system, discovery, names } = parts;
    const { log, files, net } = system.capabilities;
    // What is wrong with it is told now, whatever models there will be.
    const read = readConfig(boot.planner);
    const { config, warnings, prometheus } = read;
    checkEnvironment(config.environment, prometheusKeys(prometheus, parts.env), parts.env);
    for (const warning of warnings) log.log("warn", warning);
    const known = await readPlannerFiles(files, config);
    const lack = neverReady(config, known.curves);
    if (lack !== undefined) log.log("warn", lack);
    const redis = boot.planes && (await parts.openRedis?.(boot.planes, `${system.node}.planner`));
    const { prometheus_port: port, prometheus_host: host } = boot.planner;
    if (port > 0) await serveMetrics({ net, host, port, metrics: system.metrics });
    const configs = new LiveConfigs(system.capabilities.store, log, (model) => {
      const prefix = keys.planner("");
      const held = discovery.owner(prefix, model)?.local === true;
      return held ? discovery.epoch(prefix, model) : undefined;
    });
    const { min_endpoints_port } = boot.planner;
    if (min_endpoints_port > 0) {
      await serveMinEndpoints({ net, port: min_endpoints_port, plans: configs });
    }
    const named = namedModels(read);
    // Keys and graphs of somebody else's workers are of one model.
    const around = named.length > 0 ? NOTHING_AROUND : aroundOf(discovery);
    const planners = () => system.lookup(plannerPaths.models) as Ref<SupervisorMessage> | undefined;
    const made_of = { system, discovery, env: parts.env, redis, known, configs };
    const planner = (found: FoundModel) => plannerSpec(boot, made_of, found);
    return plannerTree({ ...around, named, planners, planner }, names);
  },
  async stands(_boot, { line }) {
    line.ready();
  },
  /** What it has begun goes on without it. */
  async drain() {},
};

/** What the kind of somebody else's workers is, nobody here can see: Dynamo's default holds. */
function readConfig(planner: PlannerBoot["planner"]): ReadConfig {
  const read = plannerConfig(planner, false);
  return read.config.environment === "local" ? read : plannerConfig(planner, true);
}

/** For workers that are not this cluster's, which has no record of them. */
function namedModels({ model_name: model, config }: ReadConfig): FoundModel[] {
  if (model === "" || config.environment === "local") return [];
  return [{ model, pairs: config.mode !== "agg" }];
}

type MadeOf = Pick<RoleParts, "system" | "discovery" | "env"> & {
  readonly redis: RedisCalls | undefined;
  readonly known: PlannerFiles;
  readonly configs: LiveConfigs;
};

const NOTHING_AROUND = { pools: () => [], workers: () => [] };

const aroundOf = (discovery: Discovery) => ({
  processes: () => discovery.owners<InspectMessage>(keys.process("")),
  pools: () => discovery.owners<PoolMessage>(keys.pool("")),
  workers: () => discovery.workers(),
});

function plannerSpec(
  boot: PlannerBoot,
  { system, discovery, env, redis, known, configs }: MadeOf,
  { model, pairs }: FoundModel,
): ChildSpec {
  const { config, prometheus } = plannerConfig(boot.planner, pairs);
  const { capabilities } = system;
  configs.add(model, config);
  const environment = () => {
    if (config.environment === "local") {
      return {
        observer: new ClusterObserver(system, aroundOf(discovery), model, config),
        connector: localConnector(system, discovery, config),
      };
    }
    const options = {
      ...{ model, config, capabilities, prometheus: prometheusKeys(prometheus, env) },
      namespace: keysNamespace(boot, env),
    };
    if (config.environment === "kubernetes") return kubernetesEnvironment({ ...options, env });
    return virtualEnvironment({ ...options, planner: system.node, redis });
  };
  return {
    id: plannerIdOf(model),
    role: "planner",
    start: () =>
      new PlannerActor({
        ...{ model, ...environment() },
        get config() {
          return configs.now(model) ?? config;
        },
        reload: () => configs.load(model),
        parts: partsWith(config, known),
        journal: new PlannerJournal(capabilities.store, capabilities.log, model),
        epoch: epochWhileHeld(system, discovery, model),
        tellFirstWorker: firstWorkerTeller(system, discovery, model),
        holder: () => holderOf(system, discovery, model),
      }),
  };
}

/** Dynamo's default where nobody gave one: its launchers look there. */
function keysNamespace({ namespace }: PlannerBoot, env: RoleParts["env"]): string {
  return env["DYN_NAMESPACE"] ?? (namespace === DEFAULT_NAMESPACE ? "dynamo" : namespace);
}

function localConnector(
  system: ActorSystem,
  discovery: Discovery,
  { start_timeout_seconds, drain_seconds }: PlannerConfig,
): LocalConnector {
  return new LocalConnector(system, {
    pools: () => discovery.owners<PoolMessage>(keys.pool("")),
    worker: (name) => discovery.owner<ChangeRole>(keys.worker(""), name),
    roleOf: (name) => discovery.workers().find(({ worker }) => worker === name)?.role,
    start_ms: 1_000 * start_timeout_seconds,
    drain_ms: 1_000 * drain_seconds,
  });
}

/** In the registry, where all routers and frontends see it. */
function firstWorkerTeller(system: ActorSystem, discovery: Discovery, model: string) {
  const key = keys.first(model);
  let told: number | undefined;
  return (wait_ms: number | undefined): void => {
    if (wait_ms === told) return;
    told = wait_ms;
    const self = system.lookup(plannerPathOf(model));
    if (wait_ms === undefined || self === undefined) {
      discovery.deregister(key);
      return;
    }
    const value = new TextEncoder().encode(`${wait_ms}`);
    void announce(system, discovery, key, self, () => told === wait_ms, value);
  };
}

const plannerPathOf = (model: string) => `${plannerPaths.models}/${plannerIdOf(model)}`;

function holderOf(system: ActorSystem, discovery: Discovery, model: string): NameHolder {
  const owner = discovery.owner(keys.planner(""), model);
  if (owner === undefined) return "nobody";
  return owner.address.node === system.node ? "last_life" : "another";
}

/** One planner of a cluster decides about a model: the one that has its name. */
function epochWhileHeld(system: ActorSystem, discovery: Discovery, model: string) {
  const prefix = keys.planner("");
  const path = plannerPathOf(model);
  const holds = holdsName(system, discovery, { prefix, name: model, path }, () => true);
  return (): number | undefined => {
    // Who does not hear of the registry does not know whether it still has the name.
    const held = holds() && discovery.live;
    return held ? discovery.epoch(prefix, model) : undefined;
  };
}
