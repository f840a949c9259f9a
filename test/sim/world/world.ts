/**
 * The whole cluster in one OS process: what `bun run cluster` starts, from the root to the doors,
 * on simulated processes, network, files and time. Only the edges are made up: the processes
 * (process.ts), the byte channels (runtime/transport/memory.ts) and HTTP (http.ts).
 */
import type { FaultInjector } from "../../../actors/fault/fault.ts";
import { FAULTS_VARIABLE } from "../../../actors/fault/fault.ts";
import { type Boot, bootOf } from "../../../cluster/boot.ts";
import { type ChildWorld, runChild } from "../../../cluster/child.ts";
import { frontendRole } from "../../../cluster/roles/frontend-role.ts";
import { kvRole } from "../../../cluster/roles/kv-role.ts";
import { plannerRole } from "../../../cluster/roles/planner-role.ts";
import { routerRole } from "../../../cluster/roles/router-role.ts";
import { workerRole } from "../../../cluster/roles/worker-role.ts";
import { type Root, startRoot } from "../../../cluster/root.ts";
import { readSettings } from "../../../cluster/settings/read-settings.ts";
import type {
  Capabilities,
  ChildProcess,
  Files,
  Log,
  LogLevel,
  Net,
  ProcessExit,
  Spawn,
  SpawnOptions,
} from "../../../runtime/capabilities.ts";
import { createSystem } from "../../../runtime/kernel/system.ts";
import { countingIds, forkRandom } from "../../../runtime/simulation/random.ts";
import type { Simulation } from "../../../runtime/simulation/simulation.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { MemoryNetwork } from "../../../runtime/transport/memory.ts";
import { SimulatedHttp } from "./http.ts";
import { SimulatedMemory } from "./memory.ts";
import { SimulatedPlanes } from "./planes.ts";
import { gated, SimulatedProcess } from "./process.ts";
import { simulatedThreads } from "./threads.ts";

export const DOOR_PORT = 8000;

export type WorldOptions = {
  /** Of `bun run cluster`. */
  readonly flags: readonly string[];
  /** Of a second machine that joins the first one, as a worker's if no --role says else. */
  readonly there?: readonly string[] | undefined;
  readonly files: Files;
  /** Of each machine, for blocks beyond the engines. */
  readonly memory_bytes?: number;
  readonly delay_ms_max: number;
  readonly split_bytes_max: number;
};

export type WorldLine = {
  readonly node: string;
  readonly at_ms: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

/**
 * Places: `root`, `worker-0` and `frontend-0` of the first machine, `worker-0@there` of the second.
 * Of several machines the names of nodes begin with the machine's, which is new at each start.
 */
const THERE = "@there";
const planeFlags = ["--nats=nats://nats:4222", "--redis=redis://redis:6379"];

function placeOf(node: string): string {
  const dot = node.indexOf(".");
  if (dot < 0) return node;
  const place = node.slice(dot + 1);
  return node.startsWith("there-") ? `${place}${THERE}` : place;
}

const linesMax = 4_000;
const ROOT_RESTART_MS = 1_000;

export class World {
  readonly simulation: Simulation;
  readonly http: SimulatedHttp;
  /** The live one of each node. */
  readonly processes = new Map<string, SimulatedProcess>();
  readonly injectors = new Map<SimulatedProcess, FaultInjector>();
  readonly log: WorldLine[] = [];
  readonly planes: SimulatedPlanes;
  /** By machine. */
  readonly memories: { readonly here: SimulatedMemory; readonly there: SimulatedMemory };
  readonly #roots = new Map<string, Root>();
  /** Why the root ended or could not start. */
  lost: string | undefined;
  deaths = 0;
  /** Called for each system that a process makes. */
  onSystem: (process: SimulatedProcess) => void = () => {};
  readonly #options: WorldOptions;
  readonly #network: MemoryNetwork;
  readonly #handles = new Map<SimulatedProcess, ChildProcess>();
  /** As a file, or Redis: it outlives all processes. */
  readonly #store = new MemoryStore();
  #pid = 100;

  constructor(simulation: Simulation, options: WorldOptions) {
    const { clock, random } = simulation;
    const { delay_ms_max, split_bytes_max, memory_bytes = 0 } = options;
    this.memories = {
      here: new SimulatedMemory(memory_bytes),
      there: new SimulatedMemory(memory_bytes),
    };
    this.simulation = simulation;
    this.#options = options;
    const network_options = { delay_ms_max, split_bytes_max };
    this.#network = new MemoryNetwork(clock, forkRandom(random), network_options);
    const delay_ms = () => this.#network.delay_ms();
    this.http = new SimulatedHttp(clock, forkRandom(random), delay_ms);
    this.planes = new SimulatedPlanes(clock, forkRandom(random), delay_ms_max, delay_ms);
  }

  /** Of the first machine, once all machines are up. */
  get root(): Root | undefined {
    const machines = this.#options.there === undefined ? 1 : 2;
    return this.#roots.size < machines ? undefined : this.#roots.get("root");
  }

  start(): void {
    this.#startRoot("root");
    if (this.#options.there !== undefined) this.#startRoot(`root${THERE}`);
  }

  #flagsOf(place: string): readonly string[] {
    const { flags, there } = this.#options;
    if (there === undefined) return flags;
    if (place === "root") return [...flags, ...planeFlags, "--machine-name=here"];
    const role = there.some((flag) => flag.startsWith("--role=")) ? [] : ["--role=worker"];
    const alone = ["--inspector-port=0", "--machine-name=there"];
    return [...there, ...planeFlags, ...role, ...alone];
  }

  #startRoot(place: string): void {
    const process = this.#newProcess(place);
    const env = { [FAULTS_VARIABLE]: "{}" };
    const flags = this.#flagsOf(place);
    const command = readSettings([...flags], {}, "sim", () => "");
    if (command.kind !== "run") throw new Error("the flags of a simulation start a cluster");
    const lost = (why: string): void => {
      this.lost ??= why;
      this.#die(process, { code: 1, signal: null });
    };
    process.onDeath = () => this.#buried(process);
    startRoot(command.settings, {
      capabilities: this.#capabilities(process, env),
      env,
      run_folder: place === "root" ? "/run" : "/run-there",
      openPlanes: async () => this.planes.open(process),
      cache_folder: "/cache",
      data_folder: "/data",
      assets_folder: "",
      bundled_model: "/model",
      version: "sim",
      cores: 2,
      exit: (code) => this.#die(process, { code, signal: null }),
      createSystem: this.#systemMaker(process),
      status: () => {},
      passLine: (text) => this.#logOf(process).log("info", text),
    }).then(
      (root) => {
        if (!process.alive) return;
        this.#roots.set(place, root);
        void root.lost.then(lost);
      },
      (error: unknown) => {
        if (process.alive) lost(`the root did not start: ${String(error)}`);
      },
    );
  }

  /** kill -9. */
  kill(node: string): boolean {
    const process = this.processes.get(node);
    if (process === undefined) return false;
    this.#die(process, { code: null, signal: "SIGKILL" });
    return true;
  }

  /** As `kill PID` of somebody at the machine; the root is not asked. */
  terminate(node: string): void {
    const process = this.processes.get(node);
    if (process !== undefined) this.#handles.get(process)?.kill("SIGTERM");
  }

  #newProcess(node: string): SimulatedProcess {
    const process = new SimulatedProcess(this.simulation, this.#network.net(), node, ++this.#pid);
    this.processes.set(node, process);
    return process;
  }

  #exits = new Map<SimulatedProcess, ProcessExit>();

  #die(process: SimulatedProcess, exit: ProcessExit): void {
    if (!process.alive) return;
    this.#exits.set(process, exit);
    process.die();
  }

  #buried(process: SimulatedProcess): void {
    const { clock, random } = this.simulation;
    this.deaths++;
    this.simulation.note(`died ${process.node}`);
    if (this.processes.get(process.node) === process) this.processes.delete(process.node);
    this.planes.died(process);
    this.#memoryOf(process).died(process);
    if (process.node.startsWith("root")) {
      this.#roots.delete(process.node);
      // Whoever runs it (systemd, a container) starts it again.
      if (this.lost === undefined) {
        clock.after(ROOT_RESTART_MS, () => this.#startRoot(process.node));
      }
    }
    this.injectors.delete(process);
    this.#handles.delete(process);
    this.http.died(process);
    // A child watches its parent and goes with it, whatever else it does.
    for (const child of [...process.children]) {
      clock.after(random.unit() * 20, () => this.#die(child, { code: null, signal: "SIGKILL" }));
    }
  }

  #start(parent: SimulatedProcess, options: SpawnOptions, parent_env: Env): ChildProcess {
    const { clock, random } = this.simulation;
    const env = { ...parent_env, ...options.env };
    const process = this.#newProcess(placeOf(env["TROUPE_NODE"] ?? "child"));
    let stop: (() => void) | undefined;
    parent.children.add(process);
    process.onDeath = () => {
      this.#buried(process);
      parent.children.delete(process);
      const exit = this.#exits.get(process) ?? { code: 0, signal: null };
      this.#exits.delete(process);
      clock.after(random.unit() * 2, () => parent.deliver(() => options.onExit(exit)));
    };
    const failed = (error: unknown): void => {
      if (!process.alive) return;
      const line = `troupe: ${error instanceof Error ? error.message : String(error)}\n`;
      parent.deliver(() => options.onStderr?.(new TextEncoder().encode(line)));
      this.#die(process, { code: 2, signal: null });
    };
    clock.after(5 + random.unit() * 30, () =>
      process.deliver(() => {
        const boot = bootOf(env);
        if (boot === undefined) throw new Error("a child of a simulation has a boot");
        runRole(boot, {
          capabilities: this.#capabilities(process, env),
          env,
          exit: (code) => this.#die(process, { code, signal: null }),
          createSystem: this.#systemMaker(process),
          openBus: async () => this.planes.busOf(process),
          block_memory: this.#memoryOf(process).doorOf(process),
          onStop: (run) => {
            stop = run;
          },
        }).catch(failed);
      }),
    );
    const handle: ChildProcess = {
      pid: process.pid,
      stopped: () => process.frozen,
      kill: (signal) => {
        if (signal === "SIGSTOP") process.freeze();
        else if (signal === "SIGCONT") process.thaw();
        else if (signal === "SIGKILL") this.#die(process, { code: null, signal });
        else {
          process.deliver(() => {
            if (stop === undefined) this.#die(process, { code: null, signal });
            else stop();
          });
        }
      },
    };
    this.#handles.set(process, handle);
    return handle;
  }

  /** Shares the order of turns, and keeps the system and the injector for whoever looks inside. */
  #systemMaker(process: SimulatedProcess): typeof createSystem {
    return (options) => {
      const system = createSystem({ ...options, scheduler: process.scheduler });
      process.system = system;
      this.onSystem(process);
      if (options.steps !== undefined) {
        this.injectors.set(process, options.steps as FaultInjector);
      }
      return system;
    };
  }

  #memoryOf({ node }: SimulatedProcess): SimulatedMemory {
    return node.endsWith(THERE) ? this.memories.there : this.memories.here;
  }

  #capabilities(process: SimulatedProcess, env: Env): Capabilities {
    const spawn: Spawn = {
      start: (options) => this.#start(process, options, env),
      self: ["troupe"],
      pid: process.pid,
      isAlive: (pid) =>
        [...this.processes.values()].some((other) => other.pid === pid && other.alive),
      resident_bytes: () => 50e6,
    };
    return {
      clock: process.clock,
      random: forkRandom(this.simulation.random),
      ids: countingIds(`${process.node}-${process.pid}-`),
      log: this.#logOf(process),
      net: this.#netOf(process),
      spawn,
      files: this.#options.files,
      store: this.#store,
      threads: simulatedThreads(process),
    };
  }

  #netOf(process: SimulatedProcess): Net {
    const { net } = process;
    return {
      listen: (address, accept) => net.listen(address, (far) => gated(process, accept(far))),
      connect: (address, handlers, timeout_ms) =>
        new Promise((resolve, reject) => {
          net.connect(address, gated(process, handlers), timeout_ms).then(
            (socket) => process.deliver(() => resolve(socket)),
            (error) => process.deliver(() => reject(error)),
          );
        }),
      serve: async (options) => this.http.serve(process, options),
      fetch: async () => {
        throw new Error("a simulated process fetches nothing");
      },
    };
  }

  #logOf(process: SimulatedProcess): Log {
    return {
      log: (level, message, fields = {}) => {
        if (this.log.length >= linesMax) return;
        const at_ms = this.simulation.clock.now_ms();
        this.log.push({ node: process.node, at_ms, level, message, fields });
      },
    };
  }
}

type Env = Readonly<Record<string, string>>;

function runRole(boot: Boot, world: ChildWorld): Promise<void> {
  switch (boot.role) {
    case "worker":
      return runChild(boot, workerRole, world);
    case "kv":
      return runChild(boot, kvRole, world);
    case "planner":
      return runChild(boot, plannerRole, world);
    case "router":
      return runChild(boot, routerRole, world);
    case "frontend":
      return runChild(boot, frontendRole, world);
  }
}
