/**
 * The load of the last hour, in the root's memory: a point each 10 s, and one each second of the
 * last two minutes as far as somebody watched. It asks the inspectors of all processes for what
 * they have counted, one question each, and keeps the differences.
 *
 *   every 10 s ──────────────▶ GetLoad to all ──▶ a point of the hour
 *   every second, watched ───▶ GetLoad to all ──▶ a point of the two minutes
 */
import type { Ask, InspectMessage, LoadFigures } from "../../../proto/index.ts";
import type { Timer } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { type LoadPoint, pointBetween, type Sample } from "./load-point.ts";
import { Series } from "./series.ts";

export type LoadHistoryOptions = {
  /** The inspectors of all processes that are there now. */
  readonly processes: () => readonly Ref<InspectMessage>[];
};

type SeriesJson = { readonly interval_ms: number; readonly points: readonly LoadPoint[] };

/** `GET /api/load`: the hour, and the last two minutes where somebody watched. */
export type LoadPage = SeriesJson & { readonly recent: SeriesJson };

/** The whole history. */
export type GetLoadPage = Ask<LoadPage> & { readonly kind: "get_load_page" };
/** The last point, for whoever asks again within `WATCHED_MS`: until then one is made each second. */
export type GetLoadPoint = Ask<{ readonly point: LoadPoint | undefined }> & {
  readonly kind: "get_load_point";
};

/** Nobody asks for the last point any more. */
export type EndLoadWatch = { readonly kind: "end_load_watch" };

type Pulled = { readonly kind: "pulled"; readonly sample: Sample };
export type LoadHistoryMessage =
  | GetLoadPage
  | GetLoadPoint
  | EndLoadWatch
  | Pulled
  | { readonly kind: "look_long" | "look_short" };

const LONG_MS = 10_000;
const LONG_POINTS = 360;
const SHORT_MS = 1_000;
const SHORT_POINTS = 120;
const WATCHED_MS = 5_000;
/** A process that does not answer within this is left out of the point. */
const ANSWER_DEADLINE_MS = 900;
/** Workers that have a row of their own in each point; the busiest where there are more. */
const WORKERS_MAX = 64;

type From = { readonly sample: Sample; readonly at_ms: number };

export class LoadHistory extends Actor<LoadHistoryMessage> {
  readonly #options: LoadHistoryOptions;
  readonly #hour = new Series(LONG_MS, LONG_POINTS);
  readonly #recent = new Series(SHORT_MS, SHORT_POINTS);
  /** What the next point of each series is measured from. */
  #long_from: From | undefined;
  #short_from: From | undefined;
  #pulling = false;
  /** The next sample makes a point of the hour. */
  #long_due = true;
  #watched_until_ms = 0;
  #short_timer: Timer | undefined;

  constructor(options: LoadHistoryOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    this.ctx.every(LONG_MS, { kind: "look_long" });
    // What the first point is measured from.
    this.#pull();
  }

  override receive(message: LoadHistoryMessage): void {
    switch (message.kind) {
      case "look_long":
        this.#long_due = true;
        this.#pull();
        return;
      case "look_short":
        this.#short_timer = undefined;
        this.#watch();
        this.#pull();
        return;
      case "pulled":
        this.#pulling = false;
        this.#take(message.sample);
        return;
      case "get_load_page":
        this.ctx.reply(this.#page());
        return;
      case "get_load_point":
        this.#watched_until_ms = this.ctx.clock.now_ms() + WATCHED_MS;
        this.#watch();
        this.ctx.reply({ point: this.#newest() });
        return;
      case "end_load_watch":
        this.#watched_until_ms = 0;
    }
  }

  override inspect() {
    const watched = this.#watched_until_ms > this.ctx.clock.now_ms();
    const { total } = this.#newest() ?? {};
    return { watched, points: this.#hour.points().length, ...(total ?? {}) };
  }

  /** The next look of those who watch, if they still do. */
  #watch(): void {
    if (this.#short_timer !== undefined) return;
    if (this.ctx.clock.now_ms() >= this.#watched_until_ms) return;
    this.#short_timer = this.ctx.after(SHORT_MS, { kind: "look_short" });
  }

  #newest(): LoadPoint | undefined {
    const { last: short } = this.#recent;
    const { last: long } = this.#hour;
    return (short?.at_ms ?? 0) > (long?.at_ms ?? 0) ? short : long;
  }

  #page(): LoadPage {
    const hour_ms = LONG_MS * LONG_POINTS;
    const now_ms = this.ctx.clock.wall_ms();
    return {
      interval_ms: LONG_MS,
      points: this.#hour.points(now_ms - hour_ms),
      recent: {
        interval_ms: SHORT_MS,
        points: this.#recent.points(now_ms - SHORT_MS * SHORT_POINTS),
      },
    };
  }

  /** One question to each process; a pull under way is not overtaken. */
  #pull(): void {
    if (this.#pulling) return;
    this.#pulling = true;
    const { system, clock, self } = this.ctx;
    const sample = new Map<string, { readonly at_ms: number; readonly said: LoadFigures }>();
    const asked = this.#options.processes().map(async (ref) => {
      const options = { deadline_ms: ANSWER_DEADLINE_MS };
      const said = await system.ask(ref, { kind: "get_load" }, options);
      sample.set(said.node, { at_ms: clock.now_ms(), said });
    });
    void Promise.allSettled(asked).then(() => self.tell({ kind: "pulled", sample }));
  }

  #take(sample: Sample): void {
    const now_ms = this.ctx.clock.now_ms();
    const next = (from: From | undefined): From => {
      return { sample: from === undefined ? sample : merged(from.sample, sample), at_ms: now_ms };
    };
    if (this.#long_due) {
      this.#long_due = false;
      if (this.#long_from !== undefined) this.#hour.push(this.#pointFrom(this.#long_from, sample));
      this.#long_from = next(this.#long_from);
    }
    if (now_ms >= this.#watched_until_ms) {
      // The next watch is not measured from what was long before.
      this.#short_from = undefined;
      return;
    }
    if (this.#short_from !== undefined) {
      this.#recent.push(this.#pointFrom(this.#short_from, sample));
    }
    this.#short_from = next(this.#short_from);
  }

  #pointFrom(from: From, sample: Sample): LoadPoint {
    const { clock } = this.ctx;
    const since_ms = clock.now_ms() - from.at_ms;
    const look = { at_ms: clock.wall_ms(), since_ms, workers_max: WORKERS_MAX };
    return pointBetween(from.sample, sample, look);
  }
}

/** A process that did not answer this time is measured from its last answer. */
function merged(before: Sample, now: Sample): Sample {
  const kept = [...before].filter(([node]) => !now.has(node)).slice(-NODES_MAX);
  return new Map([...kept, ...now]);
}

/** Of processes that are gone the last answers are kept for a while, but not without end. */
const NODES_MAX = 256;

/** The history of this process; undefined: it is being restarted, or there is none. */
export const loadHistoryOf = (
  system: ActorSystem,
  path: string | undefined,
): Ref<LoadHistoryMessage> | undefined =>
  path === undefined ? undefined : (system.lookup(path) as Ref<LoadHistoryMessage> | undefined);
