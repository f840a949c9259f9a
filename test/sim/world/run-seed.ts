/** One seed from the first process to the last check. */
import { modelFactsFromFolder, tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { forkRandom, SeededRandom } from "../../../runtime/simulation/random.ts";
import { Simulation } from "../../../runtime/simulation/simulation.ts";
import { folderOf, jsonBytes, smallTokenizer } from "../../support/tokens/small-tokenizer.ts";
import { checkClient, checkQuiet, watchCrashes } from "./checks.ts";
import { Client } from "./client.ts";
import { FaultDoer } from "./faults.ts";
import { memoryFiles } from "./files.ts";
import { Oracle } from "./request.ts";
import { drawScenario, request_timeout_ms, type Scenario, type Visit } from "./scenario.ts";
import { checkSlots, onboardedIn } from "./tier-checks.ts";
import { DOOR_PORT, World } from "./world.ts";

export type SeedResult = {
  readonly seed: number;
  readonly trace_hash: string;
  /** The first invariant that did not hold. */
  readonly broken: string | undefined;
  readonly mode: Scenario["mode"];
  readonly virtual_ms: number;
  readonly turns: number;
  readonly requests: number;
  /** How requests ended. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly resumed: number;
  /** Processes that ended. */
  readonly deaths: number;
  /** Blocks that came into engines that live at the end. */
  readonly onboarded: number;
  readonly longest_gap_ms: number;
  /** What was logged, oldest first; for a person. */
  readonly log: readonly string[];
};

const modelFile = jsonBytes(smallTokenizer());
/** Made before any run: what a library loads has to be there before time is virtual. */
export const oracle = await openOracle();
/** After the last request: leases and silence run out, processes come back. */
const quiet_ms = 22_000;
const start_max_ms = 20_000;
const step_ms = 250;
/** What the keeper takes for a block of the simulated engine. */
const SLOT_BYTES = 4_096;

async function openOracle(): Promise<Oracle> {
  const facts = modelFactsFromFolder(folderOf(smallTokenizer()), "toy");
  const blob = facts.blobs.get(facts.tokenizer_blob) ?? new Uint8Array(0);
  return await Oracle.open(tokenizerFromBlob(blob));
}

/** Another run than the drawn one; what it draws by itself comes from the same seed. */
export type Change = (drawn: Scenario, random: Random) => Scenario;

class SeedRun {
  readonly simulation: Simulation;
  readonly scenario: Scenario;
  readonly world: World;
  readonly clients: Client[] = [];
  broken: string | undefined;

  constructor(seed: number, change: Change) {
    this.simulation = new Simulation(seed);
    const drawn = drawScenario(forkRandom(this.simulation.random));
    this.scenario = change(drawn, new SeededRandom(seed));
    const { flags, there, slots, delay_ms_max, split_bytes_max } = this.scenario;
    const files = memoryFiles(new Map([["/model/tokenizer.json", modelFile]]));
    this.world = new World(this.simulation, {
      ...{ flags, there, files, delay_ms_max, split_bytes_max },
      memory_bytes: slots * SLOT_BYTES,
    });
    watchCrashes(this.world, (what) => this.#fail(what));
  }

  async run(): Promise<void> {
    const { simulation, world, scenario } = this;
    const { clock } = simulation;
    for (const { request } of scenario.visits) await oracle.prepare(request);
    world.start();
    while (world.root === undefined && world.lost === undefined && clock.now_ms() < start_max_ms) {
      await simulation.run(step_ms);
    }
    if (world.root === undefined) this.#fail(`not ready: ${world.lost ?? "it takes too long"}`);
    const began_ms = clock.now_ms();
    const doer = new FaultDoer(world);
    for (const fault of scenario.faults) clock.after(fault.at_ms, () => doer.do(fault));
    for (const visit of scenario.visits) clock.after(visit.at_ms, () => this.#visit(visit));
    await this.#whileBusy(began_ms);
    doer.heal();
    await simulation.run(quiet_ms);
    this.#checkClients();
    if (this.broken === undefined) this.#fail(checkQuiet(world, scenario));
  }

  async #whileBusy(began_ms: number): Promise<void> {
    const { simulation, scenario } = this;
    const { clock } = simulation;
    const end_ms = began_ms + 20_000 + 2 * request_timeout_ms;
    while (this.broken === undefined && clock.now_ms() < end_ms) {
      await simulation.run(step_ms);
      this.#checkClients();
      if (scenario.slots > 0) this.#fail(checkSlots(this.world, scenario));
      const all = this.clients.length === scenario.visits.length;
      const last_ms = scenario.faults.reduce((ms, f) => Math.max(ms, f.at_ms + f.for_ms), 0);
      const over = all && this.clients.every(({ outcome }) => outcome !== undefined);
      if (over && clock.now_ms() > began_ms + last_ms) return;
    }
  }

  #visit({ request, manner, idempotency_key }: Visit): void {
    const options = { port: DOOR_PORT, request, manner, idempotency_key, resumes: true };
    this.clients.push(new Client(this.world.http, oracle, options));
  }

  #checkClients(): void {
    for (const client of this.clients) {
      this.#fail(checkClient(client, this.scenario, this.simulation.clock.now_ms()));
    }
  }

  #fail(what: string | undefined): void {
    if (what === undefined || this.broken !== undefined) return;
    this.broken = `at ${Math.round(this.simulation.clock.now_ms())} ms: ${what}`;
  }
}

export async function runSeed(
  seed: number,
  change: Change = (drawn) => drawn,
): Promise<SeedResult> {
  const run = new SeedRun(seed, change);
  await run.run();
  const { simulation, scenario, clients, world } = run;
  const outcomes: Record<string, number> = {};
  for (const { outcome } of clients) {
    const kind = outcome?.kind === "error" ? `error ${outcome.code}` : (outcome?.kind ?? "open");
    outcomes[kind] = (outcomes[kind] ?? 0) + 1;
  }
  const faults: Record<string, number> = {};
  for (const { kind } of scenario.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  return {
    seed,
    trace_hash: simulation.trace_hash,
    broken: run.broken,
    mode: scenario.mode,
    virtual_ms: Math.round(simulation.clock.now_ms()),
    turns: simulation.scheduler.turns,
    requests: clients.length,
    outcomes,
    faults,
    resumed: clients.reduce((sum, client) => sum + client.resumed, 0),
    deaths: world.deaths,
    onboarded: scenario.slots > 0 ? onboardedIn(world, scenario) : 0,
    longest_gap_ms: Math.round(Math.max(0, ...clients.map((client) => client.longest_gap_ms))),
    log: [
      ...scenario.faults.map((fault) => `fault ${JSON.stringify(fault)}`),
      ...clients.map((client) => `client ${client.story}`),
      ...world.log.map(
        ({ at_ms, node, level, message, fields }) =>
          `${at_ms.toFixed(1)} ${node} ${level} ${message} ${JSON.stringify(fields)}`,
      ),
    ],
  };
}
