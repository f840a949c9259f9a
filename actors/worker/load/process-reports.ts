/**
 * Gathers the reports of all workers of one process into one message for each router. Each worker
 * alone would cost a message, a heartbeat and two timers a second for every router.
 *
 *   worker-0 ─ load changed ─┐
 *   worker-1 ─ cache events ─┼─▶ ProcessReports ── WorkerNews ──▶ router
 *   worker-n ─ …             ┘
 *
 * A load is told when it changed, at most every 50 ms (400 ms with 512 workers). If only its sums
 * changed, it waits for the heartbeat, as no routing decision reads them. Cache events go with the
 * next tick. Once a second the heartbeat names all live workers. It also repeats some loads and
 * event numbers, so that routers notice lost messages.
 */
import type { KvEvents, WireKvEvent, WorkerLoad, WorkerNews } from "../../../proto/index.ts";
import type { Clock, Timer } from "../../../runtime/capabilities.ts";
import { type Ref, sameActor } from "../../../runtime/kernel/ref.ts";
import { LOAD_GAP_MS, LOAD_HEARTBEAT_MS } from "./report-intervals.ts";

/** One worker's load, told to one router; `tellChanges` when all of its lines are marked. */
export type LoadLine = { changed(): void; close(): void };
/** One worker's cache events, told to one router. */
export type EventLine = {
  tell(first_id: number, events: readonly WireKvEvent[]): void;
  close(): void;
};

type Load = {
  readonly subscription: number;
  readonly load: () => WorkerLoad;
  dirty: boolean;
  /** The load that the router was told last. */
  told: WorkerLoad | undefined;
};
type Feed = { readonly subscription: number; readonly nextId: () => number };
type Router = {
  readonly ref: Ref<WorkerNews>;
  readonly loads: Set<Load>;
  readonly feeds: Set<Feed>;
  dirty: Load[];
  /** Loads that changed only in their sums; the heartbeat tells them. */
  readonly held: Set<Load>;
  events: KvEvents[];
  event_bytes: number;
};

/** Bytes of cache events in one message; a single worker's events may fill it. */
const MESSAGE_BYTES = 1 << 20;
/** A heartbeat repeats one load in this many, and at least `REPEATED_LEAST`. */
const REPEATED_SHARE = 4;
const REPEATED_LEAST = 16;
/** Beyond this many workers the gap between loads grows with their number. */
const LINES_A_GAP = 64;

export class ProcessReports {
  readonly #clock: Clock;
  readonly #routers: Router[] = [];
  readonly #deferred: (() => void)[] = [];
  #defer_queued = false;
  #beat_timer: Timer | undefined;
  #beats = 0;
  #load_timer: Timer | undefined;
  #loads_told_ms = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get router_count(): number {
    return this.#routers.length;
  }

  /** `load` is called when there is something to tell. */
  loadLine(ref: Ref<WorkerNews>, subscription: number, load: () => WorkerLoad): LoadLine {
    const router = this.#routerOf(ref);
    const line: Load = { subscription, load, dirty: false, told: undefined };
    router.loads.add(line);
    return {
      changed: () => {
        if (line.dirty) return;
        line.dirty = true;
        router.dirty.push(line);
      },
      close: () => {
        router.loads.delete(line);
        router.held.delete(line);
        this.#leave(router);
      },
    };
  }

  /** `nextId`: id of the first event that was not told yet. */
  eventLine(ref: Ref<WorkerNews>, subscription: number, nextId: () => number): EventLine {
    const router = this.#routerOf(ref);
    const feed: Feed = { subscription, nextId };
    router.feeds.add(feed);
    return {
      tell: (first_id, events) => {
        router.events.push({ kind: "kv_events", subscription, first_id, events: [...events] });
        for (const { hashes } of events) router.event_bytes += hashes.length;
        if (router.event_bytes >= MESSAGE_BYTES) this.#tellEvents(router);
        else this.#wake();
      },
      close: () => {
        router.feeds.delete(feed);
        this.#leave(router);
      },
    };
  }

  /** Calls `run` at the end of this tick; all messages told then leave together. */
  defer(run: () => void): void {
    this.#deferred.push(run);
    this.#wake();
  }

  #wake(): void {
    if (this.#defer_queued) return;
    this.#defer_queued = true;
    this.#clock.defer(() => {
      while (this.#deferred.length > 0) for (const run of this.#deferred.splice(0)) run();
      this.#defer_queued = false;
      for (const router of this.#routers) this.#tellEvents(router);
    });
  }

  #routerOf(ref: Ref<WorkerNews>): Router {
    const known = this.#routers.find((each) => sameActor(each.ref, ref));
    if (known !== undefined) return known;
    const router: Router = {
      ref,
      loads: new Set(),
      feeds: new Set(),
      dirty: [],
      held: new Set(),
      events: [],
      event_bytes: 0,
    };
    this.#routers.push(router);
    this.#beat_timer ??= this.#clock.after(LOAD_HEARTBEAT_MS, () => this.#beat());
    return router;
  }

  #leave(router: Router): void {
    if (router.loads.size + router.feeds.size > 0) return;
    const at = this.#routers.indexOf(router);
    if (at >= 0) this.#routers.splice(at, 1);
  }

  /** Tells changed loads now, or when the gap since the last time is over. */
  tellChanges(): void {
    if (this.#load_timer !== undefined) return;
    const lines = Math.max(...this.#routers.map(({ loads }) => loads.size));
    const gap_ms = LOAD_GAP_MS * Math.max(1, lines / LINES_A_GAP);
    const wait_ms = this.#loads_told_ms + gap_ms - this.#clock.now_ms();
    if (wait_ms <= 0) this.#tellLoads();
    else this.#load_timer = this.#clock.after(wait_ms, () => this.#tellLoads());
  }

  #tellLoads(): void {
    this.#load_timer = undefined;
    this.#loads_told_ms = this.#clock.now_ms();
    for (const router of this.#routers) {
      const loads = takeDirty(router, sameForChoice);
      if (loads.length > 0) tell(router, { loads });
    }
  }

  #tellEvents(router: Router): void {
    const { events } = router;
    if (events.length === 0) return;
    router.events = [];
    router.event_bytes = 0;
    tell(router, { events });
  }

  #beat(): void {
    this.#beat_timer = undefined;
    if (this.#routers.length === 0) return;
    this.#beats++;
    for (const router of this.#routers) {
      this.#tellEvents(router);
      const alive = [...router.loads].map(({ subscription }) => subscription);
      for (const line of [...router.held, ...slice(router.loads, this.#beats)]) {
        if (!line.dirty) router.dirty.push(line);
        line.dirty = true;
      }
      const events = slice(router.feeds, this.#beats).map(({ subscription, nextId }) => {
        return { kind: "kv_events", subscription, first_id: nextId(), events: [] } as const;
      });
      tell(router, { loads: takeDirty(router, () => false), alive, events });
    }
    this.#beat_timer = this.#clock.after(LOAD_HEARTBEAT_MS, () => this.#beat());
  }
}

type Waits = (load: WorkerLoad, told: WorkerLoad) => boolean;

function takeDirty(router: Router, waits: Waits): WorkerLoad[] {
  const lines = router.dirty;
  router.dirty = [];
  const loads: WorkerLoad[] = [];
  for (const line of lines) {
    if (!router.loads.has(line)) continue;
    line.dirty = false;
    const load = line.load();
    if (line.told !== undefined && waits(load, line.told)) {
      router.held.add(line);
      continue;
    }
    router.held.delete(line);
    line.told = load;
    loads.push({ ...load, subscription: line.subscription });
  }
  return loads;
}

/** True: only sums differ, from which rates are learned; routing does not read them. */
function sameForChoice(load: WorkerLoad, told: WorkerLoad): boolean {
  return (
    load.running === told.running &&
    load.waiting === told.waiting &&
    load.used_blocks === told.used_blocks &&
    load.waiting_prefill_tokens === told.waiting_prefill_tokens &&
    load.event_loop_block_ms_max === told.event_loop_block_ms_max
  );
}

type Report = Partial<Pick<WorkerNews, "loads" | "alive" | "events">>;

function tell(router: Router, { loads = [], alive = [], events = [] }: Report): void {
  router.ref.tell({ kind: "worker_news", loads, alive, events });
}

/** The part of the set whose turn it is. */
function slice<T>(all: ReadonlySet<T>, turn: number): T[] {
  const count = Math.max(REPEATED_LEAST, Math.ceil(all.size / REPEATED_SHARE));
  const turns = Math.ceil(all.size / count);
  if (turns <= 1) return [...all];
  const from = (turn % turns) * count;
  return [...all].slice(from, from + count);
}
