/**
 * What people who wait notice of a batch, in virtual time: the same arrivals of streams without a
 * batch and beside one, on simulated workers with Dynamo's timing.
 */
import { archiveOver } from "../../../actors/frontend/frontend.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { simWorld } from "../../support/worlds/sim-world.ts";
import { DOOR_PORT } from "../world/world.ts";

const WORKERS = 4;
const PER_S = 10;
const ROUND_MS = 12_000;
const LEAD_MS = 2_000;
const words = "the quick brown fox jumps over a lazy dog and goes home ".repeat(6);

/** Times to the first token in one round, and lines that were answered in it. */
async function round(seed: number, has_batch: boolean) {
  const { simulation, cluster } = await simWorld(seed, [`--workers=${WORKERS}`]);
  const { clock } = simulation;
  const arrivals = new SeededRandom(seed);
  const ttft_ms: number[] = [];
  let sent = 0;
  const ask = () => {
    const began_ms = clock.now_ms();
    let first = true;
    const prompt = `${sent++} ${words}`;
    const body = { model: "toy", prompt, max_tokens: 32, ignore_eos: true, stream: true };
    cluster.http.request(
      DOOR_PORT,
      {
        ...{ method: "POST", path: "/v1/completions", body: JSON.stringify(body) },
        headers: { "content-type": "application/json" },
      },
      {
        head: (status) => {
          if (status !== 200) throw new Error(`a chat beside a batch got ${status}`);
        },
        data: () => {
          if (first && began_ms >= began + LEAD_MS) ttft_ms.push(clock.now_ms() - began_ms);
          first = false;
        },
        ended: () => {},
        failed: (why) => {
          throw new Error(`a chat beside a batch broke: ${why}`);
        },
      },
    );
  };
  const began = clock.now_ms();
  for (let at_ms = 0; at_ms < LEAD_MS + ROUND_MS; ) {
    void clock.after(at_ms, ask);
    at_ms += (-Math.log(1 - arrivals.unit()) * 1_000) / PER_S;
  }
  await simulation.run(LEAD_MS);
  const { store, files } = cluster.processes.get("frontend-0")!.system!.capabilities;
  const random = new SeededRandom(seed);
  const archive = archiveOver({ store, files, clock, random }, "/data/files");
  const id = archive.batches.newId();
  if (has_batch) await makeBatch(archive, id, Math.floor(clock.wall_ms() / 1_000));
  await simulation.run(ROUND_MS);
  const lines = (await archive.batches.any(id))?.state.counts.completed ?? 0;
  return { ttft_ms, lines };
}

async function makeBatch(
  { files, batches }: ReturnType<typeof archiveOver>,
  id: string,
  created_at: number,
): Promise<void> {
  const lines = Array.from({ length: 4_000 }, (_, n) => {
    const body = { model: "toy", prompt: `line ${n} ${words}`, max_tokens: 8, ignore_eos: true };
    return JSON.stringify({ custom_id: `l${n}`, method: "POST", url: "/v1/completions", body });
  });
  const input = files.begin();
  await input.append(new TextEncoder().encode(lines.join("\n")));
  const { id: input_file_id } = await input.keep({ owner: "", filename: "l", purpose: "batch" });
  await batches.make({
    ...{ id, owner: "", endpoint: "/v1/completions", input_file_id, completion_window: "24h" },
    ...{ created_at, expires_at: created_at + 86_400, metadata: null },
    ...{ output_file_id: files.begin().id, error_file_id: files.begin().id },
  });
}

/**
 * Rounds of some seeds, each without a batch and beside one. A round has some hundred streams, of
 * whose times the 99th percentile is the second longest: all rounds are taken together.
 */
export async function besideInVirtualTime(seeds: number) {
  const without_ms: number[] = [];
  const beside_ms: number[] = [];
  let lines = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    without_ms.push(...(await round(seed, false)).ttft_ms);
    const beside = await round(seed, true);
    beside_ms.push(...beside.ttft_ms);
    lines += beside.lines;
  }
  const [without_p99_ms, beside_p99_ms] = [at(without_ms, 0.99), at(beside_ms, 0.99)];
  const ratio = beside_p99_ms / without_p99_ms;
  const p95_ratio = at(beside_ms, 0.95) / at(without_ms, 0.95);
  return { streams: beside_ms.length, lines, without_p99_ms, beside_p99_ms, ratio, p95_ratio };
}

const at = (samples: readonly number[], share: number) =>
  [...samples].sort((a, b) => a - b)[Math.floor(share * samples.length)]!;
