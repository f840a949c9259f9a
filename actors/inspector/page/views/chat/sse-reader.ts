/**
 * Server-sent events out of a text that comes in pieces of any size. `EventSource` sends no POST
 * and no headers, so the page reads its streams itself.
 */
export type SseEvent = {
  /** The newest id so far, as the standard has it; "" before the first one. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
};

export class SseReader {
  #rest = "";
  #id = "";
  #event = "";
  #data: string[] = [];

  /** Where a broken stream is taken up again. */
  get last_id(): string {
    return this.#id;
  }

  push(text: string): readonly SseEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): SseEvent[] {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return [];
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") this.#id = value;
    else if (name === "event") this.#event = value;
    else if (name === "data") this.#data.push(value);
    return [];
  }

  /** An event without data is none. */
  #dispatch(): SseEvent[] {
    const event = { id: this.#id, event: this.#event || "message", data: this.#data.join("\n") };
    const has_data = this.#data.length > 0;
    this.#event = "";
    this.#data = [];
    return has_data ? [event] : [];
  }
}
