/** Requests as they go on: all of them, and one with its text as it comes. */
import { type RequestRow, requestPage, requestRows } from "../../requests-page.ts";
import type { Door } from "../door.ts";
import type { Topic, TopicSource } from "./topic.ts";

const EVERY_MS = 1_000;

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
  /** As they were told last, and how that was written. */
  #told = new Map<string, { readonly row: RequestRow; readonly text: string }>();
  #has_told = false;

  constructor(door: Door) {
    this.#door = door;
  }

  async next(): Promise<object | undefined> {
    const before = this.#told;
    const now = new Map<string, { readonly row: RequestRow; readonly text: string }>();
    for (const row of await requestRows(this.#door)) {
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
}

class RequestSource implements TopicSource {
  readonly #door: Door;
  readonly #id: string;
  #told = "";

  constructor(door: Door, id: string) {
    this.#door = door;
    this.#id = id;
  }

  async next(): Promise<object | undefined> {
    const page = (await requestPage(this.#door, this.#id)) ?? this.#none();
    if (page === this.#told) return undefined;
    this.#told = page;
    return JSON.parse(page);
  }

  whole(): object | undefined {
    return this.#told === "" ? undefined : JSON.parse(this.#told);
  }

  #none(): string {
    return JSON.stringify({ id: this.#id, gone: true });
  }
}
