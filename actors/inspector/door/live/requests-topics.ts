/** Requests as they go on: all of them, and one with its text as it comes. */
import type { InspectMessage, RequestList, RequestRow } from "../../../../proto/index.ts";
import { formatAddress, type Ref } from "../../../../runtime/kernel/ref.ts";
import { requestListOf, requestPageOf } from "../../requests-page.ts";
import type { Door } from "../door.ts";
import { type Topic, type TopicSource, Written } from "./topic.ts";
import { within } from "./within.ts";

const EVERY_MS = 1_000;
/** Pages hear of the others after this; what a slower process says comes with the next look. */
const LOOK_MS = 250;

export const requestsTopic: Topic = {
  name: "requests",
  every_ms: EVERY_MS,
  open: (door) => new RequestsSource(door),
};

export const requestTopic: Topic = {
  name: "request",
  every_ms: EVERY_MS,
  open: (door, id) => new RequestSource(door, id),
};

/** What one process has said: its rows by id, and the number of the last one that ended. */
type Said = { last: number; readonly rows: Map<string, RequestRow> };

class RequestsSource implements TopicSource {
  readonly #door: Door;
  /** By the address of its inspector: silent ones keep their rows. */
  readonly #said = new Map<string, Said>();
  /** Addresses of those that have been asked and have not answered yet. */
  readonly #asked = new Set<string>();
  /** What came since the frame before, by id. */
  readonly #news = new Map<string, RequestRow>();
  /** Ids of the rows that pages know; undefined: they know nothing yet. */
  #told: ReadonlySet<string> | undefined;

  constructor(door: Door) {
    this.#door = door;
  }

  async next(): Promise<object | undefined> {
    await this.#look();
    const now = new Set<string>();
    for (const { rows } of this.#said.values()) for (const id of rows.keys()) now.add(id);
    const rows = [...this.#news.values()].filter(({ id }) => now.has(id));
    const gone = [...(this.#told ?? [])].filter((id) => !now.has(id));
    const isFirst = this.#told === undefined;
    this.#news.clear();
    this.#told = now;
    return isFirst || rows.length > 0 || gone.length > 0 ? frameOf(rows, gone) : undefined;
  }

  whole(): object | undefined {
    if (this.#told === undefined) return undefined;
    const rows = [...this.#said.values()].flatMap((each) => [...each.rows.values()]);
    return frameOf(rows, []);
  }

  async #look(): Promise<void> {
    const { options, system } = this.#door;
    const rested = options.processes().filter((ref) => this.#mayAsk(keyOf(ref)));
    await within(
      system.capabilities.clock,
      LOOK_MS,
      rested.map((ref) => this.#ask(ref)),
    );
    const there = new Set(options.processes().map(keyOf));
    for (const key of this.#said.keys()) if (!there.has(key)) this.#said.delete(key);
  }

  /** Not who has not answered yet, nor who is known to take no requests. */
  #mayAsk(key: string): boolean {
    return !this.#asked.has(key) && this.#said.get(key)?.last !== 0;
  }

  async #ask(ref: Ref<InspectMessage>): Promise<void> {
    const key = keyOf(ref);
    this.#asked.add(key);
    try {
      const { last = 0 } = this.#said.get(key) ?? {};
      this.#take(key, await requestListOf(this.#door, ref, last));
    } catch {
      // It ends, or is too busy: its rows stay what they were.
    } finally {
      this.#asked.delete(key);
    }
  }

  #take(key: string, { rows, first, last }: RequestList): void {
    const said = this.#said.get(key) ?? { last, rows: new Map<string, RequestRow>() };
    this.#said.set(key, said);
    said.last = last;
    // Live ones, which have no number, are said anew each time.
    for (const [id, { number }] of said.rows) if (number < first) said.rows.delete(id);
    for (const row of rows) {
      said.rows.set(row.id, row);
      this.#news.set(row.id, row);
    }
  }
}

/** Rows are put together as their frontends wrote them. */
function frameOf(rows: readonly RequestRow[], gone: readonly string[]): Written {
  const texts = rows.map(({ json }) => json).join();
  return new Written(`"rows":[${texts}],"gone":${JSON.stringify(gone)}`);
}

const keyOf = (ref: Ref<InspectMessage>): string => formatAddress(ref.address);

class RequestSource implements TopicSource {
  readonly #door: Door;
  readonly #id: string;
  #told = "";

  constructor(door: Door, id: string) {
    this.#door = door;
    this.#id = id;
  }

  async next(): Promise<object | undefined> {
    const page = await this.#page();
    if (page === undefined || page === this.#told) return undefined;
    this.#told = page;
    return JSON.parse(page);
  }

  whole(): object | undefined {
    return this.#told === "" ? undefined : JSON.parse(this.#told);
  }

  /** Undefined: nobody knows it, but somebody has not answered. */
  async #page(): Promise<string | undefined> {
    const { options, system } = this.#door;
    const refs = options.processes();
    let answered = 0;
    let page: string | undefined;
    const ask = async (ref: Ref<InspectMessage>) => {
      try {
        page = (await requestPageOf(this.#door, ref, this.#id)) ?? page;
        answered += 1;
      } catch {
        // It ends, or is too busy.
      }
    };
    await within(system.capabilities.clock, LOOK_MS, refs.map(ask));
    return page ?? (answered < refs.length ? undefined : this.#none());
  }

  #none(): string {
    return JSON.stringify({ id: this.#id, gone: true });
  }
}
