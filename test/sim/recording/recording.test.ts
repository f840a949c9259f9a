/**
 * A simulated cluster under faults is recorded, and its router and every one of its streams are
 * driven from the recording: they read the same, do the same and become the same.
 */
import { expect, test } from "bun:test";
import { recipes } from "../../../cluster/recording/recipes.ts";
import { type Driven, drive } from "../../../runtime/observe/record/driven/drive.ts";
import { livesOf, openFolder } from "../../../runtime/observe/record/read-folder.ts";
import { pickIndex } from "../../../runtime/simulation/random.ts";
import { Simulation } from "../../../runtime/simulation/simulation.ts";
import {
  AnswerCluster,
  type ClusterOptions,
  startRecorded,
} from "../../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../../support/worlds/recorded-answer.ts";
import { memoryFiles } from "../world/files.ts";

const REQUESTS = 40;

/** Everything that happened in one front, and how its actors ended. */
async function recorded(seed: number, options: Partial<ClusterOptions>) {
  const simulation = new Simulation(seed);
  const { random } = simulation;
  const files = memoryFiles(new Map());
  const cluster = await AnswerCluster.open(simulation, {
    workers: 3,
    restart_ms: 700,
    record: files,
    ...options,
  });
  const sinks: RecordingSink[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const sink = new RecordingSink(random.unit() < 0.3 ? 3 : Number.POSITIVE_INFINITY);
    sinks.push(sink);
    const prompt = Uint32Array.from({ length: 40 }, (_, at) => ((i % 5) * 31 + at) % 256);
    const changes = { prompt, max_tokens: 1 + pickIndex(random, 24), choices: 1 + (i % 2) };
    const handle = startRecorded(cluster, answerRequest(`r${i}`, changes), sink);
    await simulation.run(random.unit() * 60);
    const worker = `w${pickIndex(random, 3)}`;
    if (random.unit() < 0.1) cluster.kill(worker);
    if (random.unit() < 0.1) cluster.crash(worker);
    if (random.unit() < 0.1) cluster.cut(worker, random.unit() < 0.5);
    if (random.unit() < 0.1) handle.tell({ kind: "leave", reason: "the client hung up" });
  }
  await simulation.run(20_000);
  const live = cluster.front.system.lookup("/router");
  expect(live).toBeDefined();
  await cluster.close();
  await cluster.recorders.get("front")?.close();
  return { files, sinks };
}

async function drivenAll(files: ReturnType<typeof memoryFiles>, path: string): Promise<Driven[]> {
  const folder = await openFolder("/record", files);
  expect(folder.problems).toEqual([]);
  const lives = await livesOf(folder, "front", path);
  return lives.map((life) => drive(life, recipes));
}

for (const mode of ["kv", "least-loaded"] as const) {
  test.each([1, 2, 3, 4])(
    `router and streams become what they were, ${mode}, seed %d`,
    async (seed) => {
      const { files } = await recorded(seed, { mode });
      const [router, ...others] = await drivenAll(files, "/router");
      expect(others).toEqual([]);
      expect(router?.differs).toBeUndefined();
      expect(router?.turns).toBeGreaterThan(REQUESTS);
      expect(router?.equal_until).toBe((router?.turns ?? 0) - 1);
      let streams = 0;
      for (let i = 0; i < REQUESTS; i++) {
        for (const stream of await drivenAll(files, `/streams/r${i}`)) {
          expect(stream.differs).toBeUndefined();
          expect(stream.equal_until).toBe(stream.turns - 1);
          streams++;
        }
      }
      expect(streams).toBe(REQUESTS);
    },
  );
}
