/** `--dump-config`: the effective settings as YAML that `--config` reads back. */
import { stringify as stringifyYaml } from "yaml";
import { engineKind } from "../../actors/engine/engines.ts";
import { engineFlags, sharingFlags } from "../../actors/engine/flags.ts";
import {
  accessFlags,
  addressFlags,
  answerFlags,
  fieldFlags,
  grpcFlags,
  hangupFlags,
  loraFlags,
  pathFlags,
  storeFlags,
  timeFlags,
  traceFlags,
} from "../../actors/frontend/flags.ts";
import { inspectorFlags } from "../../actors/inspector/flags.ts";
import { kvFlags } from "../../actors/kv/flags.ts";
import { plannerFlags } from "../../actors/planner/flags.ts";
import { routerFlags } from "../../actors/router/flags.ts";
import { keepFlags } from "../../actors/worker/flags.ts";
import { type FlagValue, givenFor } from "../../runtime/setting.ts";
import { processCountFlags, processFlags, recordFlags, stopFlags } from "./cluster-flags.ts";
import { HIDDEN_KEY } from "./key-settings.ts";
import { hiddenUrl } from "./machine-settings.ts";
import { loraText } from "./model-settings.ts";
import { policyClassText } from "./router/policy-classes.ts";
import type { RouterSettings } from "./router/router-settings.ts";
import { weightTexts } from "./router/router-weights.ts";
import type { Settings } from "./settings.ts";
import { templateText } from "./template-settings.ts";
import { countFlags } from "./worker-counts.ts";
import { cpuText } from "./workers/worker-cpus.ts";
import { markText } from "./workers/worker-marks.ts";

/** Leaves out settings without a value and a default; shows only the number of keys. */
export function dumpConfig(settings: Settings): string {
  const { frontend, inspector, engine } = settings;
  const kind = engineKind(engine.name);
  // The bundled model has no source to write.
  const named = settings.models.filter(({ source }) => source !== "");
  const model = named.map(({ name, source }) =>
    name === undefined ? source : `${name}=${source}`,
  );
  const bundled_as = settings.models.find(({ source }) => source === "")?.name ?? "";
  // A name that two have keeps the place of the first.
  const dumped: Record<string, FlagValue> = {
    host: frontend.host,
    ...givenFor(addressFlags, frontend),
    engine: engine.name,
    ...{ model, "model-name": bundled_as },
    lora: settings.loras.map(loraText),
    "chat-template": settings.chat_templates.map(templateText),
    ...countFlags(settings.workers, settings.role),
    "worker-label": settings.worker_labels.map(markText),
    "worker-taint": settings.worker_taints.map(markText),
    cpus: settings.cpus.map(cpuText),
    ...givenFor(processCountFlags, settings),
    ...routerConfig(settings.router),
    ...plannerConfig(settings.planner),
    ...givenFor(accessFlags, {
      ...frontend,
      api_keys: frontend.api_keys.map(() => HIDDEN_KEY),
      // Lines are hidden as keys; a file of records is named.
      api_key_file: frontend.keys.filed.some(({ name }) => name !== "") ? frontend.keys.file : "",
    }),
    ...givenFor(grpcFlags, frontend),
    ...givenFor(traceFlags, frontend),
    ...givenFor(stopFlags, settings),
    ...givenFor(timeFlags, frontend),
    ...givenFor(keepFlags, settings.keep),
    ...givenFor(hangupFlags, frontend),
    ...givenFor(storeFlags, frontend),
    ...givenFor(kvFlags, settings.kv),
    ...givenFor(loraFlags, frontend),
    ...givenFor(answerFlags, frontend),
    ...givenFor(processFlags, settings),
    ...recordConfig(settings),
    ...givenFor(engineFlags, engine.common),
    ...(kind.shares_process ? givenFor(sharingFlags, engine) : {}),
    ...givenFor(kind.flags, engine.own),
    ...givenFor(fieldFlags, frontend),
    ...givenFor(pathFlags, frontend),
    "inspector-host": inspector.host,
    // Whoever reads the settings may not act by them.
    ...givenFor(inspectorFlags, { ...inspector, token: "" }),
    ...machineConfig(settings),
  };
  const said = Object.entries(dumped).filter(([, value]) => {
    return Array.isArray(value) ? value.length > 0 : value !== "";
  });
  return stringifyYaml(Object.fromEntries(said));
}

function routerConfig(router: RouterSettings): Record<string, FlagValue> {
  if (router.mode !== "kv") {
    const { mode, enforce_disagg } = router;
    const told: Record<string, FlagValue> = { [routerFlags.mode.name]: mode };
    if (enforce_disagg) told[routerFlags.enforce_disagg.name] = true;
    return told;
  }
  const classes = router.classes.map(policyClassText);
  const weights = weightTexts(router.weights);
  const all = givenFor(routerFlags, { ...router, classes, weights });
  // Another policy has no objective.
  return router.policy === "adaptive" ? all : { ...all, [routerFlags.objective.name]: "" };
}

/** What nobody gave is left to the file. */
function plannerConfig(planner: Settings["planner"]): Record<string, FlagValue> {
  if (planner === undefined) return {};
  const all = Object.entries(givenFor(plannerFlags, planner));
  return Object.fromEntries(all.filter(([name]) => planner.given.includes(name)));
}

/** How much and of whom says nothing where nothing is recorded. */
const recordConfig = (settings: Settings) =>
  settings.record_dir === "" ? {} : givenFor(recordFlags, settings);

const machineConfig = ({ planes, role, namespace, machine_name }: Settings) => ({
  ...(planes === undefined
    ? {}
    : { nats: hiddenUrl(planes.nats), redis: hiddenUrl(planes.redis), role }),
  namespace,
  "machine-name": machine_name,
});
