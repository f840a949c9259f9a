/** One run as data: the cluster, its clients and what goes wrong, all drawn from the seed. */
import type { Random } from "../../../runtime/capabilities.ts";
import { pickIndex } from "../../../runtime/simulation/random.ts";
import type { Manner } from "./client.ts";
import {
  atKeeper,
  atRouter,
  type Cast,
  drawFault,
  type FaultKind,
  type WorldFault,
} from "./faults.ts";
import { type ClientRequest, drawRequest } from "./request.ts";

export type Visit = {
  readonly at_ms: number;
  readonly request: ClientRequest;
  readonly manner: Manner;
  readonly idempotency_key: string;
};

export type Scenario = {
  /**
   * `calm`: nothing goes wrong. `spaced`: one thing after the other, so that every answer has to be
   * whole. `wild`: anything at any time; then a clean error will do.
   */
  readonly mode: "calm" | "spaced" | "wild";
  readonly flags: readonly string[];
  /** Flags of a second machine with a worker, beside NATS and Redis; undefined: there is none. */
  readonly there: readonly string[] | undefined;
  /** Processes of workers. */
  readonly workers: number;
  /** Workers in each of them. */
  readonly per_process: number;
  readonly frontends: number;
  /** Those that have a process of their own. */
  readonly routers: number;
  /** Slots for blocks beyond the engines, at the keeper of the first machine; 0: it has none. */
  readonly slots: number;
  readonly delay_ms_max: number;
  readonly split_bytes_max: number;
  readonly visits: readonly Visit[];
  readonly faults: readonly WorldFault[];
};

/** The worker of the second machine. */
export const farWorker = "worker-0@there";
export const request_timeout_ms = 40_000;
const hitsMax = 4;
/** Clients come during this time. */
const load_ms = 16_000;
/** Until answers that were hit are at home again, and who is silent was found out. */
const recovery_ms: Readonly<Record<FaultKind, number>> = {
  kill: 2_000,
  term: 8_000,
  freeze: 7_000,
  cut: 2_500,
  corrupt: 2_500,
  partition: 7_000,
  slow_net: 1_500,
  bad_post: 2_500,
  crash: 2_500,
  slow_disk: 500,
  clock_jump: 500,
  nats_down: 7_000,
  nats_cut: 8_000,
  redis_down: 3_000,
};

const modes = ["kv", "kv", "round-robin", "random", "power-of-two", "least-loaded"];

export function drawScenario(random: Random): Scenario {
  const draw = random.unit();
  const mode = draw < 0.06 ? "calm" : draw < 0.7 ? "spaced" : "wild";
  const workers = 1 + pickIndex(random, 3);
  const frontends = 1 + pickIndex(random, 2);
  const speedup = [0.5, 1, 2, 4, 10][pickIndex(random, 5)];
  const flags = [
    "--engine=mocker",
    "--model=toy=/model",
    "--port=8000",
    `--workers=${workers}`,
    `--frontends=${frontends}`,
    `--router-mode=${modes[pickIndex(random, modes.length)]}`,
    `--speedup-ratio=${speedup}`,
    "--block-size=16",
    `--num-blocks=${[128, 256, 1_024][pickIndex(random, 3)]}`,
    `--max-num-seqs=${[4, 8, 32][pickIndex(random, 3)]}`,
    `--request-timeout=${request_timeout_ms / 1_000}`,
  ];
  const there =
    random.unit() < 0.25 ? flags.filter((flag) => !/frontends|workers|port/.test(flag)) : undefined;
  const here = Array.from({ length: workers }, (_, i) => `worker-${i}`);
  const cast = {
    workers: there === undefined ? here : [...here, farWorker],
    frontends: Array.from({ length: frontends }, (_, i) => `frontend-${i}`),
    root: mode === "wild" && random.unit() < 0.15,
  };
  const scenario = {
    mode,
    flags,
    there,
    workers,
    per_process: 1,
    frontends,
    routers: 0,
    slots: 0,
    delay_ms_max: random.unit() * 3,
    split_bytes_max: random.unit() < 0.3 ? 700 : 0,
    visits: drawVisits(random, 12 + pickIndex(random, 30)),
    faults: drawFaults(random, mode, cast, there === undefined ? everyKind : sharedKinds),
  } as const;
  const hosted = random.unit() < 0.3 ? hostRouters(random, scenario, cast) : scenario;
  return random.unit() < 0.25 ? shareProcesses(hosted) : hosted;
}

/**
 * The same run with answers of all APIs that take so long that most faults hit some, and with
 * frontends that are killed in every second fault.
 */
export function withLongAnswers(scenario: Scenario): Scenario {
  const flags = scenario.flags.filter((flag) => !flag.startsWith("--speedup-ratio="));
  const visits = scenario.visits.map((visit, i) => {
    const { request } = visit;
    return { ...visit, request: longRequest(request, i) };
  });
  const faults = scenario.faults.map((fault, i): WorldFault => {
    if (i % 2 === 0) return fault;
    const node = `frontend-${pickedBy(i, scenario.frontends)}`;
    return { ...fault, kind: "kill", node, for_ms: 0 };
  });
  const slow = [...flags, "--speedup-ratio=0.5"];
  return { ...scenario, flags: slow, visits, faults: bearable(faults) };
}

/**
 * A run on one machine whose blocks go to its keeper and come back: long prompts of which many
 * begin alike, engines that hold few of them, clients of whom more than half leave, and a keeper
 * that is hit as often as all others together.
 */
export function withTiers(scenario: Scenario, random: Random): Scenario {
  const { workers, per_process } = scenario;
  const replaced = /^--(num-blocks|speedup-ratio)=/;
  const flags = [
    ...scenario.flags.filter((flag) => !replaced.test(flag)),
    `--num-blocks=${[48, 64, 128][pickIndex(random, 3)]}`,
    `--speedup-ratio=${[1, 4, 20][pickIndex(random, 3)]}`,
    "--kv-host-bytes=1MiB",
    ...(random.unit() < 0.5 ? ["--kv-disk-bytes=1MiB"] : []),
    `--host-offload-h2d-bandwidth-gbps=${[0.05, 0.5, 14][pickIndex(random, 3)]}`,
    `--host-offload-d2h-bandwidth-gbps=${[0.05, 0.5, 14][pickIndex(random, 3)]}`,
  ];
  const slots = [12, 40, 100, 250][pickIndex(random, 4)]!;
  const stories = 2 + pickIndex(random, 25);
  const visits = [...scenario.visits, ...drawVisits(random, 40, "again-")].map((visit) => {
    const story = pickIndex(random, stories);
    const blocks = 9 + pickIndex(random, 16);
    const prompt = `${STORY_LETTERS[story]}once upon a ti`.repeat(blocks) + visit.request.name;
    const max_tokens = 1 + (visit.request.max_tokens % 60);
    const choices = Math.min(2, visit.request.choices);
    const request = { ...visit.request, prompt, max_tokens, choices };
    const leaves = random.unit() < 0.6;
    const after_ms = random.unit() * 250;
    const kind = random.unit() < 0.7 ? "hang_up" : "vanish";
    return { ...visit, request, manner: leaves ? ({ kind, after_ms } as const) : visit.manner };
  });
  const named = Array.from({ length: workers }, (_, i) => `worker-${per_process * i}`);
  const hits = scenario.faults
    .map((fault) => (fault.node === farWorker ? { ...fault, node: "worker-0" } : fault))
    .map((fault) => (fault.peer === farWorker ? { ...fault, peer: "root" } : fault))
    .filter(({ kind }) => !["nats_down", "nats_cut", "redis_down"].includes(kind))
    .flatMap((fault) => {
      const draw = random.unit();
      if (draw < 0.4) return [atKeeper(random, fault, named)];
      const own = kindsOfWorkers[pickIndex(random, kindsOfWorkers.length)]!;
      if (draw < 0.7) return [{ ...fault, kind: own, node: named[pickIndex(random, workers)]! }];
      return [fault];
    });
  return { ...scenario, flags, there: undefined, slots, visits, faults: bearable(hits) };
}

const STORY_LETTERS = "abcdefghijklmnopqrstuvwxyz";
const kindsOfWorkers: readonly FaultKind[] = ["kill", "kill", "kill", "freeze", "partition"];

const pickedBy = (i: number, count: number): number => Math.floor(i / 2) % count;

function longRequest(request: ClientRequest, i: number): ClientRequest {
  const max_tokens = 60 + (request.max_tokens % 100);
  const common = { ...request, max_tokens, stop: "", by_number: false };
  const one = { ...common, choices: 1, logprobs: false, stream: i % 5 !== 0 };
  switch (i % 4) {
    case 0:
      return { ...common, kept: undefined, path: "/v1/chat/completions", form: i % 3 };
    case 1:
      return { ...one, kept: undefined, path: "/v1/messages", form: undefined };
    case 2:
      return { ...one, kept: "stored", path: "/v1/responses", by_number: i % 8 === 2 };
    default:
      return { ...one, kept: "background", path: "/v1/responses", by_number: true };
  }
}

const sharing = 3;

/** The same run with several workers in each process, which its faults hit together. */
function shareProcesses(scenario: Scenario): Scenario {
  const flags = scenario.flags.filter((flag) => !flag.startsWith("--workers="));
  const named = (place: string) =>
    place.replace(/^worker-(\d+)$/, (_, number) => `worker-${sharing * Number(number)}`);
  return {
    ...scenario,
    per_process: sharing,
    flags: [
      ...flags,
      `--workers=${sharing * scenario.workers}`,
      `--workers-per-process=${sharing}`,
    ],
    faults: scenario.faults.map((fault) => {
      return { ...fault, node: named(fault.node), peer: named(fault.peer) };
    }),
  };
}

/** Names of the workers in a process, whose node is called after its first. */
export function workersOf({ per_process }: Scenario, place: string, node: string): string[] {
  const [, machine = "", number] = /^(.*?)worker-(\d+)$/.exec(node) ?? [];
  if (number === undefined || place === farWorker) return [node];
  return Array.from({ length: per_process }, (_, i) => `${machine}worker-${Number(number) + i}`);
}

/** The same run with routers in processes of their own, which some of its faults hit instead. */
function hostRouters(
  random: Random,
  scenario: Scenario,
  { workers, frontends }: Omit<Cast, "kinds">,
): Scenario {
  const count = 1 + pickIndex(random, 2);
  const routers = Array.from({ length: count }, (_, i) => `router-${i}`);
  const others = ["root", ...workers, ...frontends, ...frontends];
  const drawn = scenario.faults.map((fault) =>
    random.unit() < 0.5 ? atRouter(random, fault, routers, others) : fault,
  );
  let free_ms = 0;
  const faults = drawn.filter(({ kind, at_ms, for_ms }) => {
    if (scenario.mode === "spaced" && at_ms < free_ms) return false;
    free_ms = at_ms + for_ms + recovery_ms[kind];
    return true;
  });
  const flags = [...scenario.flags, `--routers=${count}`];
  return { ...scenario, flags, routers: count, faults: bearable(faults) };
}

function drawVisits(random: Random, count: number, names = ""): Visit[] {
  return Array.from({ length: count }, (_, i) => ({
    at_ms: random.unit() * load_ms,
    request: drawRequest(random, `${names}r${i}`),
    manner: drawManner(random),
    idempotency_key: random.unit() < 0.5 ? `${names}key-${i}` : "",
  }));
}

function drawManner(random: Random): Manner {
  const draw = random.unit();
  if (draw < 0.08) return { kind: "hang_up", after_ms: random.unit() * 600 };
  if (draw < 0.1) return { kind: "vanish", after_ms: random.unit() * 600 };
  if (draw < 0.2) return { kind: "slow", pause_ms: random.unit() * 30 };
  return { kind: "plain" };
}

const everyKind: readonly FaultKind[] = [
  "kill",
  "kill",
  "term",
  "freeze",
  "cut",
  "corrupt",
  "partition",
  "slow_net",
  "bad_post",
  "crash",
  "slow_disk",
  "clock_jump",
];

const sharedKinds: readonly FaultKind[] = [
  ...everyKind,
  "nats_down",
  "nats_down",
  "nats_cut",
  "redis_down",
];

function drawFaults(
  random: Random,
  mode: Scenario["mode"],
  who: Omit<Cast, "kinds">,
  possible: readonly FaultKind[],
) {
  const faults: WorldFault[] = [];
  if (mode === "calm") return faults;
  // Some of the kinds, so that a run has a theme.
  const kinds = possible.filter(() => random.unit() < 0.6);
  const cast = { ...who, kinds: kinds.length === 0 ? possible : kinds };
  if (mode === "wild") {
    const count = 1 + pickIndex(random, 9);
    for (let i = 0; i < count; i++) faults.push(drawFault(random, cast, random.unit() * load_ms));
    return bearable(faults.sort((a, b) => a.at_ms - b.at_ms));
  }
  let at_ms = random.unit() * 3_000;
  while (at_ms < load_ms) {
    const fault = drawFault(random, cast, at_ms);
    faults.push(fault);
    at_ms += fault.for_ms + recovery_ms[fault.kind] + random.unit() * 1_500;
  }
  return bearable(faults);
}

/** A process that dies too often is given up by its supervisor, which is another story. */
function bearable(faults: readonly WorldFault[]): WorldFault[] {
  const hits = new Map<string, number>();
  return faults.filter(({ node }) => {
    const count = (hits.get(node) ?? 0) + 1;
    hits.set(node, count);
    return count <= hitsMax;
  });
}
