/** Values of flags, environment and YAML → one checked Settings record, by owner. Pure. */

import { type FrontendSettings, frontendFlags } from "../../actors/frontend/flags.ts";
import { type KeyRule, plainKey, type RequestTemplate } from "../../actors/frontend/settings.ts";
import { type InspectorSettings, inspectorFlags } from "../../actors/inspector/flags.ts";
import { type KvSettings, kvFlags } from "../../actors/kv/flags.ts";
import { modelFlags } from "../../actors/model/flags.ts";
import { type PlannerSettings, plannerFlags } from "../../actors/planner/flags.ts";
import { routerFlags } from "../../actors/router/flags.ts";
import { type KeepSettings, keepFlags, markFlags } from "../../actors/worker/flags.ts";
import {
  type FlagGroup,
  type FlagValue,
  type SettingsOf,
  settingsOf,
} from "../../runtime/setting.ts";
import {
  cpuFlags,
  engineNameFlags,
  planeFlags,
  processCountFlags,
  processFlags,
  recordFlags,
  stopFlags,
  workerCountFlags,
} from "./cluster-flags.ts";
import {
  checkHosts,
  checkOrigins,
  checkPaths,
  checkPorts,
  checkStatusPaths,
  checkTlsGiven,
  checkToken,
  frontendDoors,
  inspectorDoor,
  plannerDoors,
} from "./door-settings.ts";
import { type EngineSettings, engineSettings } from "./engine-settings.ts";
import type { FlagName } from "./flags.ts";
import { checkKeys } from "./key-settings.ts";
import { kvSettings } from "./kv-settings.ts";
import { type MachineSettings, machineSettings } from "./machine-settings.ts";
import {
  type DraftSetting,
  draftModels,
  type LoraSetting,
  loraSettings,
  type ModelSetting,
  modelSettings,
} from "./model-settings.ts";
import { checkParsers } from "./parser-settings.ts";
import { plannerSettings } from "./planner-settings.ts";
import type { Values } from "./read-values.ts";
import { policyClasses } from "./router/policy-classes.ts";
import type { RouterSettings } from "./router/router-settings.ts";
import { routerWeights } from "./router/router-weights.ts";
import { type ChatTemplateSetting, chatTemplates } from "./template-settings.ts";
import { handsOver, type WorkerCount, workerCounts } from "./worker-counts.ts";
import { type CpuRange, cpuRanges } from "./workers/worker-cpus.ts";
import { type WorkerMark, workerMarks } from "./workers/worker-marks.ts";

export type Settings = SettingsOf<
  typeof processCountFlags & typeof stopFlags & typeof processFlags & typeof recordFlags
> &
  MachineSettings & {
    /** Of each model, by role. */
    readonly workers: readonly WorkerCount[];
    readonly models: readonly ModelSetting[];
    readonly loras: readonly LoraSetting[];
    /** Instead of the models' own. */
    readonly chat_templates: readonly ChatTemplateSetting[];
    readonly draft_models: readonly DraftSetting[];
    readonly engine: EngineSettings;
    /** Of worker processes in turn; none: wherever the system puts them. */
    readonly cpus: readonly CpuRange[];
    readonly worker_labels: readonly WorkerMark[];
    readonly worker_taints: readonly WorkerMark[];
    readonly keep: KeepSettings;
    readonly kv: KvSettings;
    /** Nobody said how much host memory pairs have: the models do. */
    readonly kv_by_model: boolean;
    readonly router: RouterSettings;
    /** Undefined: the number of workers is changed by people alone. */
    readonly planner: PlannerSettings | undefined;
    readonly frontend: FrontendSettings;
    readonly inspector: InspectorSettings;
  };

/**
 * The first layer that has a name wins. `keys` are the lines of --api-key-file, `rules` its keys as
 * they may be used; without rules each line opens everything. `template` is --request-template,
 * `planner_config` the text of --planner-config.
 */
export function settle(
  layers: readonly Values[],
  keys: readonly string[],
  rules: readonly KeyRule[] = keys.map(plainKey),
  template?: RequestTemplate,
  planner_config = "",
): Settings {
  const given = (name: string): FlagValue | undefined =>
    layers.find((values) => values[name as FlagName] !== undefined)?.[name as FlagName];
  const read = <Group extends FlagGroup>(group: Group) => settingsOf(group, given);
  const engine = engineSettings(read(engineNameFlags).engine, given);
  const { models: sources, model_name, loras, chat_templates, jinja_templates } = read(modelFlags);
  const models = modelSettings(sources, model_name);
  const { labels, taints } = read(markFlags);
  const router = read(routerFlags);
  const machine = machineSettings(read(planeFlags));
  const isGiven = (flag: string) => given(flag) !== undefined;
  const workers = workerCounts(machine.role, read(workerCountFlags), isGiven);
  const inspector = read(inspectorFlags);
  const { api_key_file, ...frontend } = read(frontendFlags);
  const own_keys = checkKeys(frontend.api_keys, "--api-key");
  const serves = machine.role === "all" || machine.role === "frontend";
  checkPaths(frontend);
  checkTlsGiven(frontend);
  checkHosts(inspector.allow_hosts);
  checkToken(inspector.token);
  checkStatusPaths(inspector);
  checkOrigins(frontend.cors_origin);
  const kv_by_model = handsOver(engine.name, workers) && !isGiven(kvFlags.host_bytes.name);
  const planner = plannerSettings(read(plannerFlags), machine.role, isGiven, planner_config);
  checkPorts([
    ...(serves ? [...frontendDoors(frontend), inspectorDoor(inspector)] : []),
    ...(planner === undefined ? [] : plannerDoors(planner)),
  ]);
  checkParsers(frontend, machine.role === "all" ? models : undefined);
  return {
    ...{ engine, models, workers, inspector, ...machine },
    ...read(processCountFlags),
    ...read(stopFlags),
    ...read(processFlags),
    ...read(recordFlags),
    loras: loraSettings(loras, models),
    draft_models: draftModels(textsOf(engine.own["draft_models"]), models),
    chat_templates: chatTemplates([...chat_templates, ...jinja_templates], models),
    cpus: cpuRanges(read(cpuFlags).cpus),
    worker_labels: workerMarks("worker-label", labels, workers, models.length),
    worker_taints: workerMarks("worker-taint", taints, workers, models.length),
    keep: read(keepFlags),
    kv: kvSettings(read(kvFlags), kv_by_model, machine.planes !== undefined),
    kv_by_model,
    planner,
    router: {
      ...router,
      classes: policyClasses(router.classes),
      weights: routerWeights(router.weights, router.policy),
    },
    frontend: {
      ...frontend,
      api_keys: [...own_keys, ...checkKeys(keys, "--api-key-file")],
      keys: { given: own_keys.map(plainKey), filed: rules, file: api_key_file },
      template,
    },
  };
}

/** The values of a list that not every engine has. */
const textsOf = (value: FlagValue | undefined): readonly string[] =>
  Array.isArray(value) ? value : [];
