/**
 * The one entry: `bun run cluster [flags]`, what the compiled binary starts, and, with a role in
 * the environment, every child process. Flags → tree → run. Each process loads the modules of its
 * own role alone, which saves memory and time at the start.
 */
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { ModelError } from "./actors/model/model-error.ts";
import { type Boot, bootOf, FATAL_PREFIX } from "./cluster/boot.ts";
import type { ChildWorld } from "./cluster/child.ts";
import type { Root } from "./cluster/root.ts";
import type { Settings } from "./cluster/settings/settings.ts";
import { SettingsError } from "./cluster/settings/settings-error.ts";
import { version } from "./package.json";
import type { Log } from "./runtime/capabilities.ts";
import { errorText } from "./runtime/error-text.ts";
import { RecordError } from "./runtime/observe/record/record-error.ts";
import type { Telemetry } from "./runtime/observe/telemetry.ts";
import { AssetsError, assetsFolder, defaultCacheFolder } from "./runtime/real/assets.ts";
import { realCapabilities } from "./runtime/real/capabilities.ts";
import { HeldLines, realLog, type WriteLine } from "./runtime/real/log.ts";
import { coresEnvironment, usableCores } from "./runtime/real/machine/cpu-quota.ts";
import { freeMemory } from "./runtime/real/machine/free-memory.ts";
import { otelSettings, otelWarnings } from "./runtime/real/otel/otel-settings.ts";
import { webPage } from "./runtime/real/page/web-page.ts";
import { readText } from "./runtime/real/read-text.ts";
import { newRunFolder, RunFolderError, removeRunFolder } from "./runtime/real/run-folder.ts";
import { onChildStop, onStopSignal } from "./runtime/real/signals.ts";
import { dataFolder, realStore } from "./runtime/real/stores.ts";
import { statusLine, statusLog } from "./runtime/real/terminal.ts";
import { niceCompilerThreads } from "./runtime/real/threads/compiler-threads.ts";
import { httpOrigin } from "./runtime/url-host.ts";

/** Bundled at the first request of a browser; a compiled binary carries what came of it. */
const pageEntry = join(import.meta.dir, "actors/inspector/page/main.tsx");

/** Told in one line, exit code 2. */
const knownErrors = [SettingsError, ModelError, RunFolderError, AssetsError, RecordError];

const boot = bootOf(process.env);
if (boot === undefined) await root();
else await child(boot);

async function child(boot: Boot): Promise<void> {
  niceCompilerThreads();
  const log_fields = { node: process.env["TROUPE_NODE"] };
  const exit = (code: number, why: string): never => {
    if (code !== 0) console.error(`${log_fields.node}: ${why}`);
    process.exit(code);
  };
  try {
    await runRole(boot, {
      capabilities: realCapabilities({
        ...{ log_level: boot.log_level, log_fields },
        telemetry: await telemetryOf(
          log_fields.node ?? boot.role,
          boot.role,
          realLog(boot.log_level, log_fields),
        ),
        ...(boot.role === "frontend" || boot.role === "planner"
          ? { store: realStore(boot, log_fields.node ?? "", process.env) }
          : {}),
      }),
      env: environment(),
      exit,
      onStop: onChildStop,
      serveGrpc: async (options) =>
        (await import("./runtime/real/grpc/server.ts")).serveGrpc(options),
      page: webPage(boot.assets_folder, pageEntry),
      freeMemory,
      openBus: async (...where) => (await planes()).realBus(process.env)(...where),
      openRedis: async (...where) => (await planes()).realRedis(process.env)(...where),
    });
  } catch (error) {
    console.error(`${FATAL_PREFIX}${lineOf(error)}`);
    process.exit(2);
  }
}

/** Its packages cost memory and time: only who exports something loads them. */
async function telemetryOf(node: string, role: string, log: Log): Promise<Telemetry | undefined> {
  const settings = otelSettings(process.env);
  if (settings === undefined) return undefined;
  const { openOtel } = await import("./runtime/real/otel/open-otel.ts");
  return openOtel(settings, { node, role, version }, log);
}

async function runRole(boot: Boot, world: ChildWorld): Promise<void> {
  const { runChild } = await import("./cluster/child.ts");
  switch (boot.role) {
    case "worker":
      return runChild(boot, (await import("./cluster/roles/worker-role.ts")).workerRole, world);
    case "kv":
      return runChild(boot, (await import("./cluster/roles/kv-role.ts")).kvRole, world);
    case "planner":
      return runChild(boot, (await import("./cluster/roles/planner-role.ts")).plannerRole, world);
    case "router":
      return runChild(boot, (await import("./cluster/roles/router-role.ts")).routerRole, world);
    case "frontend":
      return runChild(boot, (await import("./cluster/roles/frontend-role.ts")).frontendRole, world);
  }
}

async function root(): Promise<void> {
  niceCompilerThreads();
  let line = statusLine();
  const lines = new HeldLines();
  let run_folder = "";
  try {
    const { readSettings } = await import("./cluster/settings/read-settings.ts");
    const command = readSettings(process.argv.slice(2), process.env, version, readText);
    if (command.kind === "print") {
      console.log(command.text);
      process.exit(0);
    }
    const { settings } = command;
    for (const each of [...command.warnings, ...otelWarnings(process.env)]) warn(each);
    if (settings.log_level === "debug") lines.release();
    line ??= progressLog(settings.log_level);
    const cache_folder = resolve(settings.cache_dir || defaultCacheFolder());
    const assets_folder = (await assetsFolder(cache_folder)) ?? "";
    const folder = await newRunFolder();
    run_folder = folder.path;
    if (folder.warning !== undefined) warn(folder.warning);
    Object.assign(process.env, coresEnvironment());
    let running: Root | undefined;
    let aborting = false;
    const leave = (code: number): never => {
      line?.clear();
      removeRunFolder(run_folder);
      process.exit(code);
    };
    onStopSignal({
      stop: () => {
        if (running === undefined) leave(0);
        void running?.stop().then(() => leave(aborting ? 1 : 0));
      },
      now: () => {
        // A third signal does not wait for anybody.
        if (running === undefined || aborting) leave(1);
        aborting = true;
        void running?.abort().finally(() => leave(1));
      },
    });
    const { startRoot } = await import("./cluster/root.ts");
    running = await startRoot(settings, {
      ...rootParts(settings, run_folder, lines.write),
      env: environment(),
      run_folder,
      cache_folder,
      assets_folder,
      bundled_model: assets_folder
        ? join(assets_folder, "models/troupe-tiny.gguf")
        : join(import.meta.dir, "deploy/models/tiny/troupe-tiny.gguf"),
      version,
      cores: usableCores(),
      page: webPage(assets_folder, pageEntry),
      host_name: hostname(),
      openPlanes: async (...where) => (await planes()).realPlanes(process.env)(...where),
      exit: (code, why) => {
        console.error(`root: ${why}`);
        process.exit(code);
      },
      status: (text, fraction) => line?.show(text, fraction),
      passLine: (text) => {
        line?.clear();
        lines.write(`${text}\n`);
      },
    });
    line?.clear();
    lines.release();
    console.log(readyLine(running, settings));
    const { inspector_token } = running;
    if (inspector_token !== undefined) console.error(tokenLine(running, inspector_token));
    const why = await running.lost;
    console.error(`${FATAL_PREFIX}${why}`);
    leave(1);
  } catch (error) {
    line?.clear();
    removeRunFolder(run_folder);
    const known = knownErrors.some((kind) => error instanceof kind);
    console.error(`${FATAL_PREFIX}${known ? lineOf(error) : ((error as Error)?.stack ?? error)}`);
    process.exit(known ? 2 : 1);
  }
}

/** Not held: who waits for a start wants to read it before its end. */
function progressLog(level: Settings["log_level"]) {
  const log = realLog(level, { node: "root" });
  return statusLog(
    (text) => log.log("info", text),
    () => performance.now(),
  );
}

function readyLine(root: Root, { role, frontend }: Settings): string {
  const { host, port, inspector_host, inspector_port } = root;
  const serves = ["all", "frontend"].includes(role)
    ? httpOrigin(host, port, frontend.tls_cert !== "")
    : role;
  return `ready ${serves} inspector ${httpOrigin(inspector_host, inspector_port, false)}`;
}

/** Drawn anew at each start, as nobody gave one. */
function tokenLine({ inspector_host, inspector_port }: Root, token: string): string {
  const page = `${httpOrigin(inspector_host, inspector_port, false)}/#token=${token}`;
  return `${FATAL_PREFIX}who acts over the inspector gives the token ${token}; its page: ${page}`;
}

function warn(text: string): void {
  console.error(`${FATAL_PREFIX}warning: ${text}`);
}

/** The root's capabilities, what it may take, and where this cluster keeps what the API stores. */
function rootParts(settings: Settings, run_folder: string, write_log: WriteLine) {
  const { planes, namespace, data_dir, frontend, log_level } = settings;
  const data_folder = resolve(dataFolder(data_dir, frontend.port, run_folder));
  const store = realStore({ planes, namespace, data_folder }, "root", process.env);
  const log_fields = { node: "root" };
  return {
    data_folder,
    freeMemory,
    capabilities: realCapabilities({ log_level, log_fields, write_log, store }),
  };
}

/** Their clients cost memory and time: only machines that are not alone load them. */
function planes() {
  return import("./runtime/real/planes.ts");
}

function environment(): Record<string, string> {
  return process.env as Record<string, string>;
}

/** The cause in one line, without the path of supervisors that it came up by. */
function lineOf(error: unknown): string {
  const text = errorText(error).split("\n")[0] ?? "";
  return text.replace(/^(\S+ did not start: crash: )+(\w+: )?/, "");
}
