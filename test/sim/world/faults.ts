/** What goes wrong in a run, as data drawn from a seed, and how it is done to the world. */
import { type FaultRule, partition } from "../../../actors/fault/fault.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { pickIndex } from "../../../runtime/simulation/random.ts";
import type { World } from "./world.ts";

export type WorldFault = {
  readonly kind: FaultKind;
  readonly at_ms: number;
  /** The process that it happens to. */
  readonly node: string;
  /** The other end of a connection. */
  readonly peer: string;
  readonly direction: "both" | "in" | "out";
  /** Until it is over; what is done once is over at once. */
  readonly for_ms: number;
  /** Actor that crashes. */
  readonly path: string;
};

export type FaultKind =
  | "kill"
  /** SIGTERM: it drains. */
  | "term"
  | "freeze"
  /** The next thing sent to the peer breaks the connection. */
  | "cut"
  | "corrupt"
  | "partition"
  | "slow_net"
  /** Batches of tokens are lost, repeated, late and swapped on their way into a stream actor. */
  | "bad_post"
  /** An actor crashes, or is killed, which leaves it no last word. */
  | "crash"
  | "slow_disk"
  | "clock_jump"
  /** Of several machines: the bus between them is away, for all or for one process. */
  | "nats_down"
  | "nats_cut"
  /** Their table of names is away, and may have forgotten all. */
  | "redis_down";

export type Cast = {
  readonly workers: readonly string[];
  readonly frontends: readonly string[];
  readonly kinds: readonly FaultKind[];
  /** The root may be killed as well. */
  readonly root: boolean;
};

const crashes: Readonly<
  Record<"root" | "frontend" | "worker" | "router" | "kv", readonly string[]>
> = {
  root: ["/cluster/registry", "/cluster/discovery/client", "/cluster/inspector", "/cluster/pool"],
  frontend: [
    "/frontend/router",
    "/frontend/answers",
    "/frontend/door",
    "/frontend/discovery/client",
    "/frontend/discovery/directory",
    "/frontend/inspector",
  ],
  worker: ["/worker/", "/worker/discovery/client", "/worker/inspector"],
  router: [
    "/router/router",
    "/router/desk",
    "/router/discovery/client",
    "/router/discovery/directory",
    "/router/inspector",
  ],
  kv: ["/kv/keeper", "/kv/keeper", "/kv/discovery/client", "/kv/inspector"],
};

/** What a hosted router's process can suffer. */
const routerKinds: readonly FaultKind[] = [
  "kill",
  "kill",
  "term",
  "freeze",
  "freeze",
  "cut",
  "corrupt",
  "partition",
  "partition",
  "slow_net",
  "crash",
  "clock_jump",
];

/** What the keeper of a machine's blocks can suffer. */
const keeperKinds: readonly FaultKind[] = [
  "kill",
  "kill",
  "kill",
  "freeze",
  "cut",
  "corrupt",
  "partition",
  "slow_net",
  "crash",
  "crash",
];

const pick = <T>(random: Random, list: readonly T[]): T =>
  list[pickIndex(random, list.length)] as T;

export function drawFault(random: Random, cast: Cast, at_ms: number): WorldFault {
  const kind = pick(random, cast.kinds);
  const { workers, frontends } = cast;
  const node = pickNode(random, cast, kind);
  const others = ["root", ...workers, ...frontends].filter((other) => other !== node);
  const role = node.startsWith("worker") ? "worker" : node === "root" ? "root" : "frontend";
  return {
    kind,
    at_ms,
    node,
    peer: pick(random, others),
    direction: pick(random, ["both", "both", "in", "out"]),
    for_ms: durationOf(random, kind),
    path: pick(random, crashes[role]),
  };
}

/** The same moment, but it is a hosted router that is hit. */
export function atRouter(
  random: Random,
  fault: WorldFault,
  routers: readonly string[],
  others: readonly string[],
): WorldFault {
  const kind = pick(random, routerKinds);
  return {
    ...fault,
    kind,
    node: pick(random, routers),
    peer: pick(random, others),
    for_ms: durationOf(random, kind),
    path: pick(random, crashes.router),
  };
}

/** The same moment, but it is the keeper of blocks that is hit. */
export function atKeeper(
  random: Random,
  fault: WorldFault,
  workers: readonly string[],
): WorldFault {
  const kind = pick(random, keeperKinds);
  return {
    ...{ ...fault, kind, node: "kv", peer: pick(random, ["root", ...workers]) },
    for_ms: durationOf(random, kind),
    path: pick(random, crashes.kv),
  };
}

function pickNode(random: Random, cast: Cast, kind: FaultKind): string {
  const { workers, frontends, root } = cast;
  const every = [...workers, ...workers, ...frontends];
  if (kind === "bad_post") return pick(random, frontends);
  if (kind === "term") return pick(random, [...workers, ...workers, ...frontends]);
  const rootToo = kind !== "kill" && kind !== "freeze" && kind !== "slow_disk";
  return pick(random, root || rootToo ? ["root", ...every] : every);
}

function durationOf(random: Random, kind: FaultKind): number {
  switch (kind) {
    case "freeze":
    case "partition":
    case "nats_down":
    case "nats_cut":
    case "redis_down":
      return random.unit() < 0.5 ? 100 + random.unit() * 900 : 1_000 + random.unit() * 7_000;
    case "slow_net":
    case "bad_post":
    case "slow_disk":
      return 200 + random.unit() * 3_000;
    default:
      return 0;
  }
}

/** Both ends of what goes wrong between two processes. */
function ends({ node, peer }: WorldFault): readonly (readonly [string, string])[] {
  return [
    [node, peer],
    [peer, node],
  ];
}

/** A table that was away for longer has been started anew, with nothing in it. */
const wiped_ms = 3_000;

const badPost: FaultRule[] = (["drop", "duplicate", "reorder", "delay"] as const).map((deed) => ({
  point: "step.deliver",
  match: " token_batch",
  do: deed,
  chance: 0.05,
  delay_ms: 30,
}));

export class FaultDoer {
  readonly #world: World;
  /** What each process has to suffer now; a plan is always set whole. */
  readonly #rules = new Map<string, FaultRule[]>();

  constructor(world: World) {
    this.#world = world;
  }

  do(fault: WorldFault): void {
    const { simulation } = this.#world;
    simulation.note(`fault ${fault.kind} ${fault.node}`);
    switch (fault.kind) {
      case "kill":
        this.#world.kill(fault.node);
        return;
      case "term":
        this.#world.terminate(fault.node);
        return;
      case "freeze": {
        const process = this.#world.processes.get(fault.node);
        process?.freeze();
        simulation.clock.after(fault.for_ms, () => process?.thaw());
        return;
      }
      case "nats_down":
      case "nats_cut":
      case "redis_down":
        this.#shared(fault);
        return;
      case "clock_jump": {
        const process = this.#world.processes.get(fault.node);
        if (process !== undefined) process.clock.wall_offset_ms += 3_600_000;
        return;
      }
      case "crash":
        if (simulation.random.unit() < 0.5 && this.#killActor(fault)) return;
        break;
      default:
        break;
    }
    for (const [node, rules] of this.#rulesOf(fault)) this.#suffer(node, rules, fault.for_ms);
  }

  /** False: it is not there now. A path that ends in "/" stands for the process's own worker. */
  #killActor({ node, path }: WorldFault): boolean {
    const system = this.#world.processes.get(node)?.system;
    const whole = path.endsWith("/") ? `${path}${system?.node}` : path;
    return system?.control(whole, "kill") ?? false;
  }

  #shared({ kind, node, for_ms }: WorldFault): void {
    const { planes, processes, simulation } = this.#world;
    const { clock } = simulation;
    const process = processes.get(node);
    if (kind === "nats_down") planes.busDown();
    else if (kind === "nats_cut") planes.cut(process, true);
    else planes.tableDown();
    clock.after(for_ms, () => {
      if (kind === "nats_down") planes.busBack();
      else if (kind === "nats_cut") planes.cut(process, false);
      else planes.tableBack(for_ms > wiped_ms);
    });
  }

  /** Addresses are `unix:/run/NODE-PID.sock`, the root's `unix:/run/root.sock`. */
  #addressOf(place: string): string {
    if (place === "root") return "/root.sock";
    return `/${this.#world.processes.get(place)?.system?.node ?? place}-`;
  }

  /** Everything is as it was; what was lost stays lost. */
  heal(): void {
    this.#rules.clear();
    this.#world.planes.heal();
    for (const process of this.#world.processes.values()) process.thaw();
    for (const injector of this.#world.injectors.values()) injector.set({ seed: 1, rules: [] });
  }

  #rulesOf(fault: WorldFault): readonly (readonly [string, FaultRule[]])[] {
    const { kind, node, direction, path } = fault;
    switch (kind) {
      case "cut":
      case "corrupt":
        return ends(fault).map(([a, b]) => {
          const deed = kind === "cut" ? "fail" : "corrupt";
          return [a, [{ point: "net.send", match: this.#addressOf(b), do: deed, times: 1 }]];
        });
      case "partition":
        return ends(fault).map(([a, b]) => {
          const flipped = direction === "in" ? "out" : direction === "out" ? "in" : "both";
          return [a, partition(this.#addressOf(b), a === node ? direction : flipped)];
        });
      case "slow_net":
        return [[node, [{ point: "net.send", do: "delay", delay_ms: 60, chance: 0.5 }]]];
      case "bad_post":
        return [[node, badPost]];
      case "slow_disk":
        return [[node, [{ point: "file.read", do: "delay", delay_ms: 1_500 }]]];
      case "crash":
        return [[node, [{ point: "step.before", match: path, do: "crash", times: 1 }]]];
      default:
        return [];
    }
  }

  #suffer(node: string, rules: FaultRule[], for_ms: number): void {
    const { clock, random } = this.#world.simulation;
    this.#rules.set(node, [...(this.#rules.get(node) ?? []), ...rules]);
    this.#set(node, random.u32());
    // What happens once has a moment to find its occasion.
    clock.after(Math.max(for_ms, 500), () => {
      const rest = (this.#rules.get(node) ?? []).filter((rule) => !rules.includes(rule));
      this.#rules.set(node, rest);
      this.#set(node, 1);
    });
  }

  #set(node: string, seed: number): void {
    const process = this.#world.processes.get(node);
    const injector = process === undefined ? undefined : this.#world.injectors.get(process);
    injector?.set({ seed, rules: this.#rules.get(node) ?? [] });
  }
}
