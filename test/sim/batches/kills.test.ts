/**
 * A batch in the simulated cluster: processes are killed and frozen, the root too, and each line is
 * once in the output. A frozen runner wakes beside the one that took its batch over.
 */
import { expect, test } from "bun:test";
import { archiveOver } from "../../../actors/frontend/frontend.ts";
import { pickIndex, SeededRandom } from "../../../runtime/simulation/random.ts";
import { simWorld } from "../../support/worlds/sim-world.ts";

const LINES = 80;

async function batchWorld(seed: number) {
  const { simulation, cluster } = await simWorld(seed, ["--workers=2", "--frontends=2"]);
  const { system } = cluster.processes.get("frontend-0")!;
  const { store, files } = system!.capabilities;
  const { clock } = simulation;
  const random = new SeededRandom(seed);
  const archive = archiveOver({ store, files, clock, random }, "/data/files");
  const lines = Array.from({ length: LINES }, (_, n) => {
    const body = { model: "toy", prompt: `line ${n}`, max_tokens: 60, ignore_eos: true, seed: n };
    return JSON.stringify({ custom_id: `l${n}`, method: "POST", url: "/v1/completions", body });
  });
  const input = archive.files.begin();
  await input.append(new TextEncoder().encode(lines.join("\n")));
  const { id } = await input.keep({ owner: "", filename: "lines", purpose: "batch" });
  const batch = archive.batches.newId();
  await archive.files.use(id, batch);
  const created_at = Math.floor(clock.wall_ms() / 1_000);
  const { made } = await archive.batches.make({
    ...{ id: batch, owner: "", endpoint: "/v1/completions", input_file_id: id, created_at },
    ...{ completion_window: "24h", expires_at: created_at + 86_400, metadata: null },
    ...{ output_file_id: archive.files.begin().id, error_file_id: archive.files.begin().id },
  });
  const look = async () => (await archive.batches.any(batch))!.state;
  const output = async (): Promise<string[]> => {
    const file = await archive.files.get("", made.output_file_id);
    let text = "";
    if (file !== undefined) {
      for await (const part of archive.files.read(file)) text += new TextDecoder().decode(part);
    }
    const ids = text.trim().split("\n");
    return ids.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id).sort();
  };
  return { simulation, cluster, look, output, lines };
}

const all = Array.from({ length: LINES }, (_, n) => `l${n}`).sort();

for (let seed = 1; seed <= 4; seed++) {
  test(`whoever is killed or frozen, each line is answered once (seed ${seed})`, async () => {
    const { simulation, cluster, look, output } = await batchWorld(seed);
    const random = new SeededRandom(100 + seed);
    const places = ["frontend-0", "frontend-1", "worker-0", "worker-1", "root"];
    for (let fault = 0; fault < 5; fault++) {
      await simulation.run(400 + Math.floor(random.unit() * 2_500));
      const place = places[pickIndex(random, places.length)]!;
      const process = cluster.processes.get(place);
      if (process === undefined || place === "root" || random.unit() < 0.6) {
        cluster.kill(place);
        continue;
      }
      process.freeze();
      await simulation.run(2_000 + Math.floor(random.unit() * 12_000));
      process.thaw();
    }
    for (let tries = 0; tries < 240 && (await look()).status !== "completed"; tries++) {
      await simulation.run(1_000);
    }
    const { status, counts } = await look();
    expect({ status, counts }).toEqual({
      status: "completed",
      counts: { total: LINES, completed: LINES, failed: 0 },
    });
    expect(await output()).toEqual(all);
    // Whoever wakes late changes nothing.
    await simulation.run(20_000);
    expect(await output()).toEqual(all);
  }, 60_000);
}
