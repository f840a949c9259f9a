/**
 * What is around a planner whose workers are somebody else's: a Prometheus that knows a load, the
 * curves of an engine, and a launcher that obeys the virtual connector's keys when it is let.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VirtualClient } from "../../../actors/planner/connect/virtual-client.ts";
import { type PlanKeys, redisKeys } from "../../../actors/planner/connect/virtual-keys.ts";
import type { Counts } from "../../../actors/planner/connect/virtual-read.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { redisClient } from "../../../runtime/real/redis.ts";

export const OUTSIDE_MODEL = "outside/model";
/** Requests of so many tokens; a prefill worker takes 10 of them a second, a decode worker 19. */
const [ISL, OSL] = [1_000, 100];

/** A server that answers a planner's query as Prometheus does. */
export class FakePrometheus {
  requests_per_s = 1;
  /** True: it sends elsewhere, as a login page does. */
  sends_away = false;
  readonly queries: string[] = [];
  readonly #server = Bun.serve({
    ...{ hostname: "127.0.0.1", port: 0 },
    fetch: async (request) => {
      const query = new URLSearchParams(await request.text()).get("query") ?? "";
      this.queries.push(query);
      if (this.sends_away) return Response.redirect(`${this.url}/login`);
      const [, seconds = "0"] = /\[(\d+)s\]/.exec(query) ?? [];
      const started = this.requests_per_s * Number(seconds);
      const figures = {
        ...{ started, ended: started, failed: 0, isl_count: started, osl_count: started },
        ...{ isl_sum: started * ISL, osl_sum: started * OSL },
      };
      const result = Object.entries(figures).map(([figure, value]) => {
        return { metric: { figure }, value: [0, `${value}`] };
      });
      return Response.json({ status: "success", data: { result } });
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}

const isl = [100, 500, 1_000, 2_000, 3_000, 4_000];
const usage = [0.1, 0.5, 0.9];
const CURVES = {
  "prefill_raw_data.json": {
    prefill_isl: isl,
    prefill_ttft: isl.map((tokens) => tokens / 10),
    prefill_thpt_per_gpu: isl.map(() => 10_000),
  },
  "decode_raw_data.json": {
    x_kv_usage: [...usage, ...usage],
    y_context_length: [1_000, 1_000, 1_000, 4_000, 4_000, 4_000],
    z_itl: [10, 25, 45, 10, 25, 45],
    z_thpt_per_gpu: [1_000, 2_000, 2_000, 250, 500, 500],
    max_kv_tokens: 100_000,
  },
};

/** A folder with `planner.yaml` for one of the outside environments; remove it after use. */
export function outsideConfig(environment: "virtual" | "kubernetes"): {
  readonly folder: string;
  readonly file: string;
  remove(): void;
} {
  const folder = mkdtempSync(join(tmpdir(), "troupe-outside-"));
  const curves = join(folder, "curves");
  mkdirSync(curves);
  for (const [name, values] of Object.entries(CURVES)) {
    writeFileSync(join(curves, name), JSON.stringify(values));
  }
  const file = join(folder, "planner.yaml");
  const config = {
    ...{ environment, model_name: OUTSIDE_MODEL, mode: "disagg", optimization_target: "sla" },
    ...{ sla_planner: "current", load_predictor: "constant", profile_results_dir: curves },
    load_adjustment_interval_seconds: 1,
    throughput_adjustment_interval_seconds: 2,
    scale_down_after_seconds: 2,
  };
  writeFileSync(file, JSON.stringify(config));
  return { folder, file, remove: () => rmSync(folder, { recursive: true }) };
}

/** Somebody's launcher: it has as many workers as it was told, and says so when it is let. */
export class Launcher {
  /** False: it is told, and does nothing yet. */
  obeys = true;
  readonly has: Counts = { prefill: 0, decode: 0 };
  /** Workers that it started, over all its life. */
  readonly started: Counts = { prefill: 0, decode: 0 };
  /** Decisions that it carried out, in order. */
  readonly done: number[] = [];
  readonly client: VirtualClient;
  readonly keys: PlanKeys;
  readonly #redis: ReturnType<typeof redisClient>;
  readonly #going: Promise<void>;
  #over = false;

  private constructor(redis: ReturnType<typeof redisClient>, namespace: string) {
    this.#redis = redis;
    this.keys = redisKeys(redis, namespace);
    this.client = new VirtualClient({ keys: this.keys, clock: realClock(), poll_ms: 50 });
    this.#going = this.#go();
  }

  static async at(url: string, namespace: string): Promise<Launcher> {
    const redis = redisClient({ url, client_name: "launcher", env: {} });
    await redis.ready(5_000);
    return new Launcher(redis, namespace);
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#going;
    await this.#redis.close();
  }

  async #go(): Promise<void> {
    while (!this.#over) {
      const told = this.obeys ? await this.client.wait(100) : undefined;
      if (told === undefined || !this.obeys) {
        await Bun.sleep(20);
        continue;
      }
      const wants = { prefill: told.num_prefill_workers, decode: told.num_decode_workers };
      for (const side of ["prefill", "decode"] as const) {
        this.started[side] += Math.max(0, wants[side] - this.has[side]);
        this.has[side] = wants[side];
      }
      this.done.push(told.decision_id);
      await this.client.complete(told);
    }
  }
}
