/**
 * A real cluster of three workers, and no more: as load goes from prompts to answers and back, its
 * planner makes one of them a prefill worker or a decode worker, and no request notices.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlannerAnswer } from "../../../actors/inspector/planner-rows.ts";
import type { PlanPage } from "../../../actors/planner/report/plan-page.ts";
import { type Cluster, pidOfWorker, startCluster, until } from "../../support/cluster.ts";
import { type StreamedAnswer, streamAnswer } from "../../support/streamed-answer.ts";

const WAIT_MS = 45_000;
const folder = mkdtempSync(join(tmpdir(), "planner-roles-"));
afterAll(() => rmSync(folder, { recursive: true }));

const config = [
  // Long queues of prompts and full caches say which role lacks workers.
  "optimization_target: load",
  "prefill_scale_up_queue_tokens: 800",
  "prefill_scale_down_queue_tokens: 400",
  "decode_scale_up_kv_rate: 40",
  "decode_scale_down_kv_rate: 20",
  // The sum stays.
  "min_gpu_budget: 3",
  "max_gpu_budget: 3",
  "load_adjustment_interval_seconds: 1",
  "throughput_adjustment_interval_seconds: 5",
  "scale_down_after_seconds: 2",
];

/** Prompts take long, so that a few of them are a queue on a slow machine, too. */
const engine = [
  ...["--engine", "mocker", "--num-blocks", "160", "--max-num-batched-tokens", "256"],
  ...["--speedup-ratio", "0.15", "--decode-speedup-ratio", "8"],
];

async function planOf({ inspector }: Cluster): Promise<PlanPage | undefined> {
  const answer = (await (await fetch(`${inspector}/api/planner`)).json()) as PlannerAnswer;
  return answer.planners[0];
}

/** By worker, those that serve. */
async function rolesOf({ inspector }: Cluster): Promise<Readonly<Record<string, string>>> {
  type Member = { readonly worker: string; readonly role: string; readonly state: string };
  const { machines } = (await (await fetch(`${inspector}/api/workers`)).json()) as {
    readonly machines: readonly { readonly workers: readonly Member[] }[];
  };
  const serving = machines.flatMap(({ workers }) => workers).filter((w) => w.state === "serving");
  return Object.fromEntries(serving.map(({ worker, role }) => [worker, role]));
}

/** What a worker says of itself. */
async function saysOf({ inspector }: Cluster, worker: string) {
  const id = encodeURIComponent(`${worker}/worker/${worker}`);
  const response = await fetch(`${inspector}/api/actors/${id}/snapshot`);
  if (response.status !== 200) return undefined;
  const { snapshot } = (await response.json()) as {
    readonly snapshot: {
      readonly ready: boolean;
      readonly role: string;
      readonly answers: number;
    } | null;
  };
  return snapshot ?? undefined;
}

async function withRoles(cluster: Cluster, prefill: number, decode: number) {
  const count = (roles: Readonly<Record<string, string>>, role: string) =>
    Object.values(roles).filter((each) => each === role).length;
  await until(`${prefill} prefill and ${decode} decode workers`, WAIT_MS, async () => {
    const roles = await rolesOf(cluster);
    return count(roles, "prefill") === prefill && count(roles, "decode") === decode;
  });
  return await rolesOf(cluster);
}

/** The last decision that changed something, when its change has ended. */
async function changedAs(cluster: Cluster, nth: number): Promise<PlanPage> {
  await until(`change ${nth} ends`, WAIT_MS, async () => {
    const { ended = [], pending } = (await planOf(cluster))!;
    return ended.length === nth && pending.length === 0;
  });
  return (await planOf(cluster))!;
}

/** Clients that ask one after the other as long as it goes on. */
class Clients {
  readonly #cluster: Cluster;
  readonly answers: (StreamedAnswer & { readonly asked: string })[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async ask(prompt: string, max_tokens: number): Promise<void> {
    const body = { prompt, max_tokens, ignore_eos: true, seed: 1 };
    const answer = await streamAnswer(this.#cluster.url, body, 120_000);
    this.answers.push({ ...answer, asked: `${max_tokens} of ${prompt.slice(0, 20)}` });
  }

  /** Returns what ends them; it resolves when their last answers are there. */
  start(count: number, ask: (client: number, nth: number) => Promise<void>): () => Promise<void> {
    let going = true;
    const all = Array.from({ length: count }, async (_, client) => {
      await Bun.sleep(100 * client);
      for (let nth = 0; going; nth++) await ask(client, nth);
    });
    return async () => {
      going = false;
      await Promise.all(all);
    };
  }
}

test("workers take the role that lacks some, and answers go on", async () => {
  const file = join(folder, "planner.yaml");
  writeFileSync(file, config.join("\n"));
  const roles = ["--prefill", "2", "--decode", "1", "--kv-host-bytes", "64MB"];
  const routing = ["--router-mode", "round-robin", "--router-conditional-disagg", "off"];
  await using cluster = await startCluster(
    [...engine, ...roles, ...routing, "--planner-config", file],
    { log_level: "info" },
  );
  await until("it decides", WAIT_MS, async () => (await planOf(cluster))?.standing === "decides");
  const clients = new Clients(cluster);

  // Long answers: their contexts fill the cache of the only decode worker.
  const answering = clients.start(20, (client, nth) =>
    clients.ask(`${client}.${nth} ${`answer${client} `.repeat(60)}`, 200),
  );
  await withRoles(cluster, 1, 2);
  const first = await changedAs(cluster, 1);
  expect(first.ended).toMatchObject([{ outcome: "added", why: "" }]);
  const [to_decode] = first.decisions.flatMap(({ says }) => says);
  expect(to_decode).toMatch(/^make decode of prefill-[01] \(prefill\)$/);

  // Then long prompts, beside an answer at each decode worker that goes on for longer than that.
  await answering();
  const short = clients.start(2, (client) => clients.ask(`short ${client}`, 1_000));
  await until("an answer at each decode worker", WAIT_MS, async () => {
    const decoding = Object.entries(await rolesOf(cluster)).filter(([, role]) => role === "decode");
    const says = await Promise.all(decoding.map(([worker]) => saysOf(cluster, worker)));
    return says.length === 2 && says.every((each) => (each?.answers ?? 0) > 0);
  });
  const prompting = clients.start(16, (client, nth) =>
    clients.ask(`${client}.${nth} ${`prompt${client} `.repeat(120)}`, 1),
  );
  const by_role = await withRoles(cluster, 2, 1);
  const second = await changedAs(cluster, 2);
  expect(second.ended).toMatchObject([{ outcome: "added" }, { outcome: "added", why: "" }]);
  const { roles: why = [], says = [] } = second.decisions.findLast((each) => each.says.length)!;
  const [, taken = ""] = /^make prefill of (\S+) \(decode\)$/.exec(says.join("; ")) ?? [];
  expect(by_role[taken]).toBe("prefill");
  expect(why.map(({ role, reason }) => [role, reason])).toEqual([
    ["prefill", expect.stringMatching(/^(scale_up|budget)$/)],
    ["decode", expect.stringMatching(/^(scale_down|budget)$/)],
  ]);
  // It had answers, which ended there or went on elsewhere within its drain.
  const line = cluster
    .log()
    .split("\n")
    .find((each) => /"role":"prefill".*another role/.test(each));
  expect(JSON.parse(line ?? "{}")).toMatchObject({ node: taken, from: "decode", unfinished: 0 });
  expect((JSON.parse(line ?? "{}") as { finished: number }).finished).toBeGreaterThan(0);
  await Promise.all([prompting(), short()]);

  // Each client has one at least: 20 that answer, 2 short ones, 16 that prompt.
  expect(clients.answers.length).toBeGreaterThanOrEqual(38);
  const broken = clients.answers.filter(
    ({ error, finish_reason }) => error !== undefined || finish_reason !== "length",
  );
  expect(broken).toEqual([]);
  // Who asked the same got the same, whatever happened meanwhile.
  const texts = new Map<string, Set<string>>();
  for (const { asked, text } of clients.answers) {
    texts.set(asked, (texts.get(asked) ?? new Set()).add(text));
  }
  expect([...texts].flatMap(([asked, all]) => (all.size > 1 ? [asked] : []))).toEqual([]);
  // No process was started or ended for it.
  expect(Object.keys(await rolesOf(cluster)).sort()).toEqual([
    "decode-0",
    "prefill-0",
    "prefill-1",
  ]);
  // One that ends comes back in the role that its worker had last.
  const pid = await pidOfWorker(cluster, taken);
  process.kill(pid, "SIGKILL");
  await until("its next process", WAIT_MS, async () => {
    return (await pidOfWorker(cluster, taken).catch(() => pid)) !== pid;
  });
  await until("its next life", WAIT_MS, async () => (await saysOf(cluster, taken))?.ready === true);
  expect(await saysOf(cluster, taken)).toMatchObject({ role: "prefill" });
}, 120_000);
