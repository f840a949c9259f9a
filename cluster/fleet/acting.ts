/** What people may do to a running cluster over the inspector, and who may. */
import { ActLog, type ActsOptions, isLoopbackHost } from "../../actors/inspector/inspector.ts";
import type { PoolMessage } from "../../proto/index.ts";
import type { Random } from "../../runtime/capabilities.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { type Discovery, keys } from "../discovery.ts";
import type { Settings } from "../settings/settings.ts";
import type { Fleet } from "./fleet.ts";
import { type PresentWorker, presentSettings, withNotes } from "./present-settings.ts";
import { Tuning } from "./tuning.ts";

export type ActingParts = {
  readonly system: ActorSystem;
  readonly discovery: Discovery;
  readonly settings: Settings;
  readonly machine: { readonly root: string; readonly prefix: string };
  readonly fleet: Fleet;
};

export function actsOf(parts: ActingParts): ActsOptions {
  const { system, discovery, settings, machine } = parts;
  const tuning = new Tuning(system, discovery, settings.router, machine.root);
  return {
    log: new ActLog(() => system.capabilities.clock.wall_ms()),
    pools: () => discovery.owners<PoolMessage>(keys.pool("")),
    router: tuning,
    config: async () => {
      // A root loads YAML when somebody asks for it.
      const { dumpConfig } = await import("../settings/dump-config.ts");
      const { models, workers } = present(parts);
      const now = presentSettings(settings, models, workers, tuning.changes);
      return withNotes(dumpConfig(now.settings), now.notes);
    },
  };
}

function present({ discovery, machine, fleet }: ActingParts) {
  const roles = new Map(discovery.workers().map(({ worker, role }) => [worker, role]));
  const { workers, models } = fleet.pool();
  const there = workers.filter(({ state }) => state !== "retiring");
  return {
    models,
    workers: there.map(({ worker, model, role }): PresentWorker => {
      const name = worker.slice(machine.prefix.length);
      return { worker: name, model, role: roles.get(worker) ?? role };
    }),
  };
}

export type ActingRules = {
  readonly read_only: boolean;
  readonly token?: string;
  /** Nobody gave the token: it has to be told. */
  readonly drawn: boolean;
};

/** Where others than this machine reach the inspector, who acts needs a token. */
export function actingRules(inspector: Settings["inspector"], random: Random): ActingRules {
  const { host, read_only, token } = inspector;
  if (token !== "") return { read_only, token, drawn: false };
  if (isLoopbackHost(host) || read_only) return { read_only, drawn: false };
  const drawn = Array.from({ length: 4 }, () => random.u32().toString(16).padStart(8, "0")).join(
    "",
  );
  return { read_only, token: drawn, drawn: true };
}
