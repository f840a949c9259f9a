/**
 * Runs one load plan. Closed loop: every connection sends its next request when its last has ended.
 * Open loop and trace: requests leave when they are due, and each latency counts from that moment,
 * so that a stalled server (or a client short of connections) cannot hide the wait it caused.
 *
 *   bodies ─▶ due? ─▶ a free connection ─▶ answer ─▶ records
 */
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { HttpClient } from "../http-client.ts";
import type { TraceRequest } from "../replay/trace.ts";
import { arrivalsAtRate } from "./arrivals.ts";
import { LogHistogram } from "./log-histogram.ts";
import type { LoadPlan } from "./plan.ts";
import { type LoadRequest, requestBodies, traceBodies } from "./request-bodies.ts";

type OpenLoop = Extract<LoadPlan["arrival"], { kind: "rate" }>;

/** One request; all times in ms, `due_ms` from the start of the run, the others from `due_ms`. */
export type LoadRecord = {
  readonly due_ms: number;
  readonly sent_ms: number;
  /** -1 = nothing with text came. */
  readonly ttft_ms: number;
  readonly e2e_ms: number;
  readonly tokens: number;
  readonly events: number;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  /** Empty = a good answer. */
  readonly error: string;
};

export type LoadResult = {
  readonly records: readonly LoadRecord[];
  /** Between events with text, over all answers; events that arrived in one read are 0 apart. */
  readonly itl_ms: LogHistogram;
  /** From the first request's due time to the last one's end. */
  readonly wall_ms: number;
  /** Processor time this process used in that time, as a share of one core. */
  readonly client_cpu: number;
};

/** Called about once a second, and once at the end. */
export type LoadProgress = (now: {
  readonly elapsed_ms: number;
  readonly sent: number;
  readonly ended: number;
  readonly errors: number;
  readonly tokens: number;
  readonly last: boolean;
}) => void;

/** Of an open loop, which has no number of its own. */
const warm_up_parallel = 16;
const sweep_ms = 100;
const progress_ms = 1000;
/** Timers are late by up to this much, so the last stretch is awaited turn by turn. */
const timer_slack_ms = 1.5;

/** Never rejects for what the server does: that is counted in `records`. */
export async function runLoad(plan: LoadPlan, progress?: LoadProgress): Promise<LoadResult> {
  const run = new LoadRun(plan, progress);
  try {
    return await run.all();
  } finally {
    run.close();
  }
}

class LoadRun {
  readonly #plan: LoadPlan;
  readonly #bodies: Generator<LoadRequest, void>;
  readonly #progress: LoadProgress | undefined;
  readonly #records: LoadRecord[] = [];
  readonly #itl_ms = new LogHistogram();
  readonly #clients = new Set<HttpClient>();
  readonly #free: HttpClient[] = [];
  readonly #waiting: ((client: HttpClient) => void)[] = [];
  /** Requests under way → when they are given up. */
  readonly #live = new Map<HttpClient, number>();
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #counting = false;
  #started_ms = 0;
  #sent = 0;
  #errors = 0;
  #tokens = 0;

  constructor(plan: LoadPlan, progress?: LoadProgress) {
    this.#plan = plan;
    this.#progress = progress;
    this.#bodies = requestBodies(plan);
    this.#timers.push(setInterval(() => this.#sweep(), sweep_ms));
  }

  async all(): Promise<LoadResult> {
    const plan = this.#plan;
    const usual = plan.arrival.kind === "closed" ? plan.arrival.concurrency : warm_up_parallel;
    await this.#closedLoop(Math.min(plan.warm_up, usual), plan.warm_up);
    if (this.#progress) this.#timers.push(setInterval(() => this.#report(), progress_ms));
    this.#counting = true;
    const cpu = process.cpuUsage();
    this.#started_ms = performance.now();
    await this.#drive();
    const wall_ms = performance.now() - this.#started_ms;
    const { user, system } = process.cpuUsage(cpu);
    this.#report(true);
    return {
      records: this.#records,
      itl_ms: this.#itl_ms,
      wall_ms,
      client_cpu: (user + system) / 1000 / wall_ms,
    };
  }

  #drive(): Promise<void> {
    const { arrival, source, requests } = this.#plan;
    switch (arrival.kind) {
      case "closed":
        return this.#closedLoop(arrival.concurrency, requests);
      case "rate":
        return this.#openLoop(arrival);
      case "trace":
        if (source.kind !== "trace") throw new Error("a schedule needs a trace");
        return this.#schedule(source.rows, arrival.speedup);
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const client of this.#clients) client.close();
  }

  async #closedLoop(concurrency: number, requests: number): Promise<void> {
    let left = requests;
    const one = async () => {
      const client = this.#client();
      while (left > 0 && !(this.#counting && this.#elapsed_ms() > this.#plan.duration_ms)) {
        left -= 1;
        const body = this.#bodies.next().value;
        if (body === undefined) break;
        await this.#send(client, body, this.#elapsed_ms());
      }
      this.#release(client);
    };
    await Promise.all(Array.from({ length: concurrency }, one));
  }

  async #openLoop({ per_s, process, swing }: OpenLoop): Promise<void> {
    const { requests, duration_ms, seed } = this.#plan;
    const under_way: Promise<void>[] = [];
    const arrivals = arrivalsAtRate(per_s, process, new SeededRandom(seed), swing);
    while (under_way.length < requests) {
      const body = this.#bodies.next().value;
      const due_ms = arrivals.next().value;
      if (body === undefined || due_ms > duration_ms) break;
      await this.#until(due_ms);
      under_way.push(this.#sendWhenFree(body, due_ms));
    }
    await Promise.all(under_way);
  }

  /** Rows leave at their time; a row that waits for answers, its think time after the last one. */
  async #schedule(rows: readonly TraceRequest[], speedup: number): Promise<void> {
    const { requests, duration_ms } = this.#plan;
    const bodyOf = traceBodies(this.#plan);
    const chosen = rows.slice(0, requests).map((row) => ({
      row,
      // true = it was sent and has ended, false = it came too late for this run.
      end: Promise.withResolvers<boolean>(),
    }));
    const send = async ({ row, end }: (typeof chosen)[number], due_ms: number) => {
      if (due_ms > duration_ms) return end.resolve(false);
      const body = bodyOf(row);
      await this.#until(due_ms);
      void this.#sendWhenFree(body, due_ms).then(() => end.resolve(true));
    };
    for (const one of chosen) {
      if (one.row.arrival_ms !== undefined) continue;
      const before = one.row.after.map((at) => chosen[at]?.end.promise);
      void Promise.all(before).then((ended) =>
        ended.every((sent) => sent === true)
          ? send(one, this.#elapsed_ms() + one.row.delay_ms / speedup)
          : one.end.resolve(false),
      );
    }
    const timed = chosen.filter(({ row }) => row.arrival_ms !== undefined);
    timed.sort((a, b) => (a.row.arrival_ms ?? 0) - (b.row.arrival_ms ?? 0));
    const first_ms = timed[0]?.row.arrival_ms ?? 0;
    for (const one of timed) await send(one, ((one.row.arrival_ms ?? 0) - first_ms) / speedup);
    await Promise.all(chosen.map(({ end }) => end.promise));
  }

  async #until(due_ms: number): Promise<void> {
    for (;;) {
      const left_ms = due_ms - this.#elapsed_ms();
      if (left_ms <= 0) return;
      if (left_ms > timer_slack_ms) await Bun.sleep(left_ms - timer_slack_ms);
      else await new Promise((next) => setImmediate(next));
    }
  }

  async #sendWhenFree(body: LoadRequest, due_ms: number): Promise<void> {
    const full = this.#free.length === 0 && this.#clients.size >= this.#plan.max_connections;
    const client = full
      ? await new Promise<HttpClient>((take) => this.#waiting.push(take))
      : this.#client();
    await this.#send(client, body, due_ms);
    this.#release(client);
  }

  async #send(client: HttpClient, { path, payload }: LoadRequest, due_ms: number): Promise<void> {
    const sent_ms = this.#elapsed_ms() - due_ms;
    this.#live.set(client, performance.now() + this.#plan.timeout_ms);
    if (this.#counting) this.#sent += 1;
    const record = await client.send(path, payload).then(
      (answer): LoadRecord => {
        if (this.#counting) this.#addItl(answer.event_ms);
        return {
          due_ms,
          sent_ms,
          ttft_ms: answer.ttft_ms < 0 ? -1 : sent_ms + answer.ttft_ms,
          e2e_ms: sent_ms + answer.total_ms,
          tokens: answer.completion_tokens || answer.events,
          events: answer.events,
          prompt_tokens: answer.prompt_tokens,
          cached_tokens: answer.cached_tokens,
          error: answer.error,
        };
      },
      (error: Error): LoadRecord => ({
        ...nothing,
        due_ms,
        sent_ms,
        e2e_ms: this.#elapsed_ms() - due_ms,
        error: error.message,
      }),
    );
    this.#live.delete(client);
    if (!this.#counting) return;
    this.#records.push(record);
    this.#tokens += record.tokens;
    if (record.error !== "") {
      this.#errors += 1;
      // A server that refuses at once must not be asked a million times a second.
      await Bun.sleep(10);
    }
  }

  #addItl(event_ms: readonly number[]): void {
    for (let i = 1; i < event_ms.length; i += 1) {
      this.#itl_ms.add((event_ms[i] ?? 0) - (event_ms[i - 1] ?? 0));
    }
  }

  #client(): HttpClient {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const client = new HttpClient(this.#plan.url, { api_key: this.#plan.api_key });
    this.#clients.add(client);
    return client;
  }

  #release(client: HttpClient): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(client);
    else next(client);
  }

  #sweep(): void {
    const now_ms = performance.now();
    for (const [client, give_up_ms] of this.#live) {
      if (now_ms > give_up_ms) client.close(`no whole answer in ${this.#plan.timeout_ms} ms`);
    }
  }

  #elapsed_ms(): number {
    return performance.now() - this.#started_ms;
  }

  #report(last = false): void {
    this.#progress?.({
      last,
      elapsed_ms: this.#elapsed_ms(),
      sent: this.#sent,
      ended: this.#records.length,
      errors: this.#errors,
      tokens: this.#tokens,
    });
  }
}

const nothing = { ttft_ms: -1, tokens: 0, events: 0, prompt_tokens: 0, cached_tokens: 0 };
