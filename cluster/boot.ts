/**
 * The boot record that the root gives a child process: one JSON text in the environment. The child
 * is another copy of this program, so both ends are the same version.
 */
import type { EngineFit } from "../actors/engine/engine-kind.ts";
import type { FrontendSettings } from "../actors/frontend/flags.ts";
import type { KvSettings } from "../actors/kv/flags.ts";
import type { PlannerSettings } from "../actors/planner/flags.ts";
import type { KeepSettings } from "../actors/worker/flags.ts";
import type { WorkerRole } from "../proto/index.ts";
import type { LogLevel } from "../runtime/capabilities.ts";
import type { RecordSettings } from "../runtime/observe/record/recorder.ts";
import type { PlaneUrls } from "../runtime/planes.ts";
import type { EngineSettings } from "./settings/engine-settings.ts";
import type { RouterSettings } from "./settings/router/router-settings.ts";

type Common = {
  /** Sockets of this node's processes; mode 700. */
  readonly run_folder: string;
  readonly log_level: LogLevel;
  /** Where the registry listens, and the node that it lives on. */
  readonly registry_address: string;
  readonly root_node: string;
  /** Undefined = one machine. */
  readonly planes: PlaneUrls | undefined;
  readonly namespace: string;
  /** Time that a stopping process has to finish or hand over its answers. */
  readonly drain_timeout_ms: number;
  readonly cache_folder: string;
  /** Unpacked files of a compiled binary; empty in the source tree. */
  readonly assets_folder: string;
  /** Undefined: nothing is recorded. */
  readonly record: RecordSettings | undefined;
};

export type WorkerBoot = Common & {
  readonly role: "worker";
  /** Which part of an answer its workers make. */
  readonly worker_role: WorkerRole;
  readonly engine: EngineSettings;
  /** Several only for simulated engines; from outside each is a worker of its own. */
  readonly workers: readonly string[];
  /** True: the model's first process, which logs facts that concern all of them. */
  readonly first: boolean;
  /** Labels by worker; a missing worker has none. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  readonly taints: Readonly<Record<string, readonly string[]>>;
  /** A checked GGUF, or a folder with a tokenizer. */
  readonly model_path: string;
  /** A checked GGUF that guesses for it; undefined: none does. */
  readonly draft_path: string | undefined;
  readonly model_name: string;
  /** Replaces the model's own template: a file's path or the name of a built-in one. */
  readonly chat_template: { readonly file?: string; readonly name?: string } | undefined;
  /** Workers that share this machine's free memory. */
  readonly sharers: number;
  /** What this machine's memory holds of the model; undefined: it does not depend on it. */
  readonly fit: EngineFit | undefined;
  readonly keep: KeepSettings;
  /** Its machine has a keeper of blocks. */
  readonly tiers: boolean;
};

export type FrontendBoot = Common & {
  readonly role: "frontend";
  /** `port` is a free one by now. */
  readonly settings: FrontendSettings;
  readonly share_port: boolean;
  readonly router: RouterSettings;
  /** The inspector may show what requests and answers say. */
  readonly shows_content: boolean;
  /** Records of the API, where no Redis has them. */
  readonly data_folder: string;
  readonly version: string;
  /** Where the machine's inspector is, for a link. */
  readonly inspector_url: string;
};

export type RouterBoot = Common & {
  readonly role: "router";
  readonly router: RouterSettings;
};

export type KvBoot = Common & {
  readonly role: "kv";
  /** The folder is absolute. */
  readonly kv: KvSettings;
  /** Models of the machine: each has a share of the memory. */
  readonly models: number;
};

export type PlannerBoot = Common & {
  readonly role: "planner";
  readonly planner: PlannerSettings;
  /** Where its journal is, where no Redis has it. */
  readonly data_folder: string;
};

export type Boot = WorkerBoot | FrontendBoot | RouterBoot | KvBoot | PlannerBoot;

/** Progress that a frontend tells once it can answer for every model that there is. */
export const SERVING_STAGE = "serving";

/** Prefix of a child's reason why it cannot start; the root shows the same text. */
export const FATAL_PREFIX = "troupe: ";

/** Of clusters that nobody gave another one. */
export const DEFAULT_NAMESPACE = "troupe";

export const BOOT_VARIABLE = "TROUPE_BOOT";

/**
 * A frontend makes much garbage under load, and the JavaScript engine lets the heap grow with the
 * machine's memory. With a smaller size here it collects earlier, for no more processor time
 * (docs/decisions/007). This is no limit: a heap that needs more gets it.
 */
const frontendHeap = { BUN_JSC_forceRAMSize: String(512 * 1024 * 1024) };

export const bootToEnvironment = (boot: Boot): Record<string, string> => ({
  ...(boot.role === "frontend" ? frontendHeap : {}),
  [BOOT_VARIABLE]: JSON.stringify(boot),
});

/** undefined: this process is a root. */
export function bootOf(env: Readonly<Record<string, string | undefined>>): Boot | undefined {
  const text = env[BOOT_VARIABLE];
  return text === undefined || text === "" ? undefined : (JSON.parse(text) as Boot);
}
