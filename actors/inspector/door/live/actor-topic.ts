/** Topic `actor`: what one actor has handled, message by message, as long as a page watches it. */
import type { ActorEntry } from "../../../../proto/index.ts";
import { formatAddress } from "../../../../runtime/kernel/ref.ts";
import { withoutContent } from "../../without-content.ts";
import { type ActorFound, askActor } from "../actor-of.ts";
import { type Door, type Place, placeOf } from "../door.ts";
import type { Topic, TopicSource } from "./topic.ts";

const ENTRIES_KEPT = 256;

export const actorTopic: Topic = {
  name: "actor",
  every_ms: 500,
  open: (door, key) => new ActorSource(door, key),
};

class ActorSource implements TopicSource {
  readonly #door: Door;
  readonly #id: string;
  readonly #place: Place | undefined;
  readonly #watch: string;
  #entries: readonly object[] = [];
  #after = 0;
  #dropped = -1;
  #state = "";
  /** Address of the inspector that was asked last. */
  #asked = "";

  constructor(door: Door, id: string) {
    this.#door = door;
    this.#id = id;
    this.#place = placeOf(id);
    this.#watch = door.system.capabilities.ids.next();
  }

  async next(): Promise<object | undefined> {
    const place = this.#place;
    if (place === undefined) return this.#changed(false, "this is no actor's id", [], 0);
    const isNew = this.#isNewProcess(place);
    if (isNew) this.#after = 0;
    const found = await askActor(this.#door, place, this.#watch, this.#after);
    if ("error" in found) return this.#changed(false, found.error, [], this.#dropped);
    const { entries, dropped } = found.page;
    // Its process has begun anew, or has forgotten it: the record counts from 1.
    const full = isNew || (entries[0] !== undefined && entries[0].seq <= this.#after);
    if (full) this.#entries = [];
    this.#after = entries.at(-1)?.seq ?? this.#after;
    const shown = entries.map((entry) => shownEntry(entry, this.#door));
    this.#entries = [...this.#entries, ...shown].slice(-ENTRIES_KEPT);
    return this.#changed(full, stateOf(found), shown, dropped);
  }

  whole(): object | undefined {
    if (this.#dropped < 0) return undefined;
    return this.#frame(true, this.#entries);
  }

  #changed(
    full: boolean,
    state: string,
    entries: readonly object[],
    dropped: number,
  ): object | undefined {
    const isQuiet = entries.length === 0 && !full;
    const same = isQuiet && state === this.#state && dropped === this.#dropped;
    this.#state = state;
    this.#dropped = dropped;
    return same ? undefined : this.#frame(full, entries);
  }

  /** What it wrote down went with the process before it. */
  #isNewProcess({ node }: Place): boolean {
    const ref = this.#door.inspectorOf(node);
    if (ref === undefined) return false;
    const before = this.#asked;
    this.#asked = formatAddress(ref.address);
    return before !== "" && before !== this.#asked;
  }

  #frame(full: boolean, entries: readonly object[]): object {
    const told = { id: this.#id, full, entries, dropped: Math.max(0, this.#dropped) };
    return this.#state === "" ? told : { ...told, error: this.#state };
  }
}

const stateOf = ({ page }: ActorFound): string => {
  if (page.recorded) return page.found ? "" : "there is no such actor now";
  return "its process watches as many actors as it can already";
};

/** As pages get it: JSON texts as what they say. */
export function shownEntry(entry: ActorEntry, { options }: Pick<Door, "options">): object {
  const { from = null, trace_id, message, before, after, crashed, ...rest } = entry;
  const said: unknown = JSON.parse(message);
  return {
    ...rest,
    waited_ms: inMicroseconds(entry.waited_ms),
    took_ms: inMicroseconds(entry.took_ms),
    from,
    ...(trace_id === undefined ? {} : { trace_id }),
    message: options.shows_content === false ? withoutContent(said) : said,
    before: JSON.parse(before),
    after: JSON.parse(after),
    ...(crashed === undefined ? {} : { crashed }),
  };
}

const inMicroseconds = (ms: number): number => Math.round(ms * 1_000) / 1_000;
