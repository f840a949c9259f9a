/** Requests as they go on: all of them, and one with its text as it comes. */
import type { InspectMessage } from "../../../../proto/index.ts";
import { formatAddress, type Ref } from "../../../../runtime/kernel/ref.ts";
import { newestFirst, type RequestRow, requestPageOf, requestRowsOf } from "../../requests-page.ts";
import type { Door } from "../door.ts";
import type { Topic, TopicSource } from "./topic.ts";
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

class RequestsSource implements TopicSource {
  readonly #door: Door;
  /** What each process said last, by its inspector's address: silent ones keep their rows. */
  readonly #said = new Map<string, readonly RequestRow[]>();
  /** Addresses of those that have been asked and have not answered yet. */
  readonly #asked = new Set<string>();
  /** As they were told last, and how that was written. */
  #told = new Map<string, { readonly row: RequestRow; readonly text: string }>();
  #has_told = false;

  constructor(door: Door) {
    this.#door = door;
  }

  async next(): Promise<object | undefined> {
    const before = this.#told;
    const now = new Map<string, { readonly row: RequestRow; readonly text: string }>();
    for (const row of await this.#rows()) {
      now.set(row.id, { row, text: JSON.stringify(row) });
    }
    const rows = [...now.values()].filter(({ row, text }) => before.get(row.id)?.text !== text);
    const gone = [...before.keys()].filter((id) => !now.has(id));
    const isFirst = !this.#has_told;
    this.#told = now;
    this.#has_told = true;
    if (!isFirst && rows.length === 0 && gone.length === 0) return undefined;
    return { rows: rows.map(({ row }) => row), gone };
  }

  whole(): object | undefined {
    if (!this.#has_told) return undefined;
    return { rows: [...this.#told.values()].map(({ row }) => row), gone: [] };
  }

  async #rows(): Promise<RequestRow[]> {
    const { options, system } = this.#door;
    const rested = options.processes().filter((ref) => !this.#asked.has(keyOf(ref)));
    await within(
      system.capabilities.clock,
      LOOK_MS,
      rested.map((ref) => this.#ask(ref)),
    );
    const there = new Set(options.processes().map(keyOf));
    for (const key of this.#said.keys()) if (!there.has(key)) this.#said.delete(key);
    return newestFirst([...this.#said.values()]);
  }

  async #ask(ref: Ref<InspectMessage>): Promise<void> {
    const key = keyOf(ref);
    this.#asked.add(key);
    try {
      this.#said.set(key, await requestRowsOf(this.#door, ref));
    } catch {
      // It ends, or is too busy: its rows stay what they were.
    } finally {
      this.#asked.delete(key);
    }
  }
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
