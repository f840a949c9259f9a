/** Every answer that is live, from its start to its end: counted, measured, and cut by a drain. */
import type { Clock } from "../../../runtime/capabilities.ts";
import { ChargedMeter } from "../access/charge.ts";
import type { FrontendMetrics, RequestMeter, RequestType } from "../frontend-metrics.ts";
import { LiveRequests, type Quiet } from "../http/live-requests.ts";
import type { RequestContext } from "../http/request-context.ts";

export type MeteredParts = {
  readonly clock: Clock;
  readonly metrics: FrontendMetrics;
  /** The longest time without a byte to a client; 0: there are no heartbeats. */
  readonly heartbeat_ms: number;
  /** Called after the last live request has ended. */
  readonly idle: () => void;
};

export type MeteredRequest = {
  /** Name of the served model. */
  readonly model: string;
  /** The name of the dialect, or "streams" for an answer that is taken up again. */
  readonly endpoint: string;
  readonly type: RequestType;
  /** Ends it with an error that says `message`. */
  readonly cut: (message: string) => void;
  readonly quiet: Quiet;
  /** Called once, when it has ended. */
  readonly over?: (() => void) | undefined;
};

export class MeteredRequests {
  readonly #parts: MeteredParts;
  readonly #live: LiveRequests;
  /** When the last answer ended, on the clock's scale. */
  ended_ms = Number.NEGATIVE_INFINITY;

  constructor(parts: MeteredParts) {
    this.#parts = parts;
    this.#live = new LiveRequests(parts.clock, parts.heartbeat_ms);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Ends whatever is live with an error; returns how many requests that were. */
  cut(message: string): number {
    return this.#live.cut(message);
  }

  /** Counted as live from here until the meter is told of its end. */
  begin(context: RequestContext, request: MeteredRequest): RequestMeter {
    const { metrics, clock, idle } = this.#parts;
    const { model, endpoint, type, cut, quiet, over } = request;
    const live = this.#live.add({ cut, quiet, exchange: context.exchange });
    const { charge, entry } = context;
    if (entry !== undefined) {
      entry.endpoint = endpoint;
      entry.model = model;
      entry.metered = true;
    }
    const meter = metrics.request({ model, endpoint, type }, context.arrived_ms, entry, () => {
      this.#live.remove(live);
      this.ended_ms = clock.now_ms();
      over?.();
      if (this.#live.size === 0) idle();
    });
    return charge === undefined ? meter : new ChargedMeter(meter, charge);
  }
}
