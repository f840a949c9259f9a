/**
 * The requests of one door: all that are live, and the last ones that have ended; of many quick
 * ones some. Whoever looks at them comes through the inspector of the process.
 */
import type { RequestList } from "../../../proto/index.ts";
import { Allowance, type AllowanceOptions } from "../../../runtime/allowance.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import { isSampled, type Telemetry } from "../../../runtime/observe/telemetry.ts";
import { SlotMap } from "../../../runtime/slot-map.ts";
import type { TimedStage } from "../prompt/prepare-context.ts";
import { type Arrival, RequestEntry } from "./request-entry.ts";
import {
  entryBytes,
  type LookedAt,
  pageOf,
  type RequestPage,
  type RequestRow,
  rowOf,
} from "./request-rows.ts";
import { requestSpans } from "./request-spans.ts";

export type BookOptions = {
  readonly clock: Clock;
  /** Name of this process. */
  readonly node: string;
  /** Undefined: nobody collects traces. */
  readonly telemetry?: Telemetry | undefined;
  /** Bodies and texts may be kept and shown. */
  readonly shows_content: boolean;
  /** Where the door is, for a command that sends a request again. */
  readonly origin: () => string;
};

const ENDED_MOST = 200;
/** Of those that have ended. */
const BYTES_MOST = 8 * 1024 * 1024;
/** A longer body is not kept. */
const BODY_MOST = 16 * 1024;
/** Live requests in one answer. */
const LIVE_MOST = 1_000;
const OLDEST_MOST = 200;
/** How often the router is asked for its reasons: so many at once, then one each so long. */
const EXPLAINED: AllowanceOptions = { at_once: 32, each_ms: 50 };
/**
 * Of ordinary requests so many stay at once after their end, then one each so long: what outlives
 * its request costs the collector of garbage more than the request's own account does.
 */
const KEPT: AllowanceOptions = { at_once: ENDED_MOST, each_ms: 20 };
/** A request that took longer is no ordinary one. */
const SLOW_MS = 1_000;

export class RequestBook {
  readonly #options: BookOptions;
  readonly #live = new SlotMap<string, RequestEntry>();
  /** A ring, and where the next one goes. */
  readonly #ended: (RequestEntry | undefined)[] = [];
  #next = 0;
  /** Numbers of the first and of the last one in the ring: those between them are there too. */
  #first: number;
  #last: number;
  #bytes = 0;
  readonly #explained: Allowance;
  readonly #kept: Allowance;

  constructor(options: BookOptions) {
    this.#options = options;
    this.#explained = new Allowance(options.clock, EXPLAINED);
    this.#kept = new Allowance(options.clock, KEPT);
    // Numbers of a book that comes after this one in its process are higher, and none is 0.
    this.#last = Math.round(options.clock.now_ms() * 1_000) + 1;
    this.#first = this.#last + 1;
  }

  begin(
    arrival: Arrival,
    endpoint: string,
    stages: TimedStage & { stage(name: string, from_ms: number): void },
  ): RequestEntry {
    const { clock, shows_content: may_follow, telemetry } = this.#options;
    const ended = (entry: RequestEntry) => this.#keep(entry);
    const parts = { stages, ended, may_follow, telemetry };
    const entry = new RequestEntry(clock, arrival, endpoint, parts);
    // The router is asked why it chooses as it does, which costs something.
    entry.explains = this.#explained.take();
    entry.stays = this.#kept.take();
    this.#live.set(arrival.id, entry);
    return entry;
  }

  /** Small ones may be looked at. */
  bodyOf(entry: RequestEntry, value: object, bytes: number): void {
    if (this.#options.shows_content && entry.stays && bytes <= BODY_MOST)
      entry.body = { value, bytes };
  }

  get live(): number {
    return this.#live.size;
  }

  /** The newest first. */
  rows(): readonly RequestRow[] {
    const at = this.#now();
    return this.#newest(0).map((entry) => rowOf(entry, at));
  }

  /** The same as pages get them: all live ones, and those that have ended since that number. */
  list(after: number): RequestList {
    const at = this.#now();
    const rows = this.#newest(after).map((entry) => {
      const row = rowOf(entry, at);
      const { id, started_ms } = row;
      return { id, started_ms, number: entry.number, json: JSON.stringify(row) };
    });
    return { kind: "request_list", rows, first: this.#first, last: this.#last };
  }

  /**
   * By our own id, else by that of its client. `follow`: somebody looks at it, and wants its text as
   * it comes.
   */
  page(id: string, follow: boolean): RequestPage | undefined {
    const own = this.#live.get(id) ?? this.#find((arrival) => arrival.id === id);
    const entry = own ?? this.#find((arrival) => namedBy(arrival, id));
    if (entry === undefined) return undefined;
    if (follow) entry.follow();
    return pageOf(entry, this.#now(), this.#options.origin());
  }

  #now(): LookedAt {
    const { clock, node } = this.#options;
    return { now_ms: clock.now_ms(), wall_ms: clock.wall_ms(), node };
  }

  #newest(after: number): RequestEntry[] {
    const all = [...this.#live.values()];
    // Of too many those in the middle are left out: the oldest ones may be stuck.
    if (all.length > LIVE_MOST) all.splice(OLDEST_MOST, all.length - LIVE_MOST);
    for (const entry of this.#ended) {
      if (entry !== undefined && entry.number > after) all.push(entry);
    }
    return all.sort((one, other) => other.arrival.arrived_ms - one.arrival.arrived_ms);
  }

  #find(is: (arrival: Arrival) => boolean): RequestEntry | undefined {
    for (const entry of this.#live.values()) if (is(entry.arrival)) return entry;
    return this.#ended.find((entry) => entry !== undefined && is(entry.arrival));
  }

  #keep(entry: RequestEntry): void {
    this.#export(entry);
    // A second request of the same id has its own entry.
    if (this.#live.get(entry.arrival.id) === entry) this.#live.take(entry.arrival.id);
    if (!entry.stays && isOrdinary(entry)) return;
    this.#drop(this.#next);
    entry.number = ++this.#last;
    this.#ended[this.#next] = entry;
    this.#bytes += entryBytes(entry);
    this.#next = (this.#next + 1) % ENDED_MOST;
    for (let at = this.#next; this.#bytes > BYTES_MOST; at = (at + 1) % ENDED_MOST) this.#drop(at);
  }

  #export(entry: RequestEntry): void {
    const { telemetry, clock } = this.#options;
    const { trace } = entry;
    if (telemetry === undefined || trace === undefined || !isSampled(trace)) return;
    const zero_ms = clock.wall_ms() - clock.now_ms();
    telemetry.export(requestSpans(entry, trace, zero_ms, () => telemetry.spanId()));
  }

  #drop(at: number): void {
    const entry = this.#ended[at];
    if (entry === undefined) return;
    this.#bytes -= entryBytes(entry);
    this.#ended[at] = undefined;
    this.#first = entry.number + 1;
  }
}

function isOrdinary({ state, migrations, resumes, arrival, ended_ms }: RequestEntry): boolean {
  const is_quick = ended_ms - arrival.arrived_ms < SLOW_MS;
  return state === "done" && migrations === 0 && resumes === 0 && is_quick;
}

/** Its client gave it this id. */
const namedBy = ({ request }: Arrival, id: string): boolean =>
  request.headers.get("x-request-id") === id;
