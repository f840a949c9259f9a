/**
 * The pages that are open, and what each of them watches. Everything is asked once for all pages
 * and written once; nothing is asked while nobody watches.
 */
import type {
  Clock,
  Log,
  Timer,
  WebSocketEnd,
  WebSocketHandlers,
} from "../../../../runtime/capabilities.ts";
import { errorText } from "../../../../runtime/error-text.ts";
import type { Door } from "../door.ts";
import { type Pace, Paced } from "./paced.ts";
import { type Topic, type TopicName, type TopicSource, Written } from "./topic.ts";
import { readWish, type Wish } from "./wish.ts";

/**
 * A page for which more than this waits when its next frame is due is dropped; it comes back when
 * it can. One frame alone may be longer: the first has the whole tree.
 */
export const WAITING_BYTES_MAX = 1024 * 1024;
/** Each wish asks processes anew, so a page that changes its mind all the time is not followed. */
const WISHES: Pace = { at_once: 4, every_ms: 250 };
const TRY_AGAIN_LATER = 1013;
const POLICY = 1008;
const GOING_AWAY = 1001;

export type HubWorld = { readonly door: Door; readonly clock: Clock; readonly log: Log };

export class LiveHub {
  readonly #world: HubWorld;
  readonly #topics: ReadonlyMap<TopicName, Topic>;
  /** By topic and key. */
  readonly #feeds = new Map<string, Feed>();
  readonly #pages = new Set<Page>();

  constructor(world: HubWorld, topics: readonly Topic[]) {
    this.#world = world;
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]));
  }

  get pages(): number {
    return this.#pages.size;
  }

  get watched(): readonly string[] {
    return [...this.#feeds.keys()];
  }

  /** A page has come; it says what it watches. */
  readonly accept = (socket: WebSocketEnd): WebSocketHandlers => {
    const page = new Page(socket);
    this.#pages.add(page);
    const wishes = new Paced<string>(this.#world.clock, WISHES, (text) => {
      const wish = readWish(text);
      if ("wrong" in wish) page.leave(POLICY, wish.wrong);
      else this.#watch(page, wish);
    });
    return {
      message: (text) => wishes.hear(text),
      close: () => {
        wishes.end();
        this.#pages.delete(page);
        for (const name of page.watches) this.#end(name, page);
        page.watches.clear();
      },
    };
  };

  /** The door closes. */
  close(): void {
    for (const page of this.#pages) page.leave(GOING_AWAY, "the inspector is going");
    for (const feed of this.#feeds.values()) feed.end();
    this.#feeds.clear();
  }

  /** Takes the place of what the page watched before. */
  #watch(page: Page, wish: Wish): void {
    const wanted = new Map<string, readonly [Topic, string]>();
    for (const { name, key } of wish) {
      const topic = this.#topics.get(name);
      if (topic !== undefined) wanted.set(`${name} ${key}`, [topic, key]);
    }
    for (const name of page.watches) {
      if (wanted.has(name)) continue;
      page.watches.delete(name);
      this.#end(name, page);
    }
    for (const [name, [topic, key]] of wanted) {
      if (page.watches.has(name)) continue;
      page.watches.add(name);
      this.#feed(name, topic, key).join(page);
    }
  }

  #feed(name: string, topic: Topic, key: string): Feed {
    const found = this.#feeds.get(name);
    if (found !== undefined) return found;
    const feed = new Feed(this.#world, topic, key);
    this.#feeds.set(name, feed);
    return feed;
  }

  #end(name: string, page: Page): void {
    const feed = this.#feeds.get(name);
    if (feed === undefined || feed.leave(page) > 0) return;
    feed.end();
    this.#feeds.delete(name);
  }
}

class Page {
  /** Names of feeds. */
  readonly watches = new Set<string>();
  readonly #socket: WebSocketEnd;

  constructor(socket: WebSocketEnd) {
    this.#socket = socket;
  }

  send(text: string): void {
    if (this.#socket.buffered_bytes <= WAITING_BYTES_MAX && this.#socket.send(text)) return;
    this.leave(TRY_AGAIN_LATER, "this page takes frames too slowly; come back");
  }

  leave(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

/** One topic that at least one page watches. */
class Feed {
  readonly #world: HubWorld;
  readonly #topic: Topic;
  readonly #source: TopicSource;
  readonly #pages = new Set<Page>();
  /** Those of them that have had no frame. */
  readonly #fresh = new Set<Page>();
  #timer: Timer | undefined;
  #over = false;
  #failed = false;

  constructor(world: HubWorld, topic: Topic, key: string) {
    this.#world = world;
    this.#topic = topic;
    this.#source = topic.open(world.door, key);
    void this.#look();
  }

  join(page: Page): void {
    this.#pages.add(page);
    const whole = this.#source.whole();
    if (whole === undefined) this.#fresh.add(page);
    else page.send(this.#written(whole));
  }

  /** How many are left. */
  leave(page: Page): number {
    this.#pages.delete(page);
    this.#fresh.delete(page);
    return this.#pages.size;
  }

  end(): void {
    this.#over = true;
    if (this.#timer !== undefined) this.#world.clock.cancel(this.#timer);
    this.#source.close?.();
  }

  async #look(): Promise<void> {
    const { clock } = this.#world;
    const began_ms = clock.now_ms();
    const changed = await this.#next();
    if (this.#over) return;
    this.#tell(changed);
    const took_ms = clock.now_ms() - began_ms;
    // A process that answers slowly is asked no faster for it.
    const wait_ms = Math.max(this.#topic.every_ms - took_ms, this.#topic.every_ms / 4);
    this.#timer = clock.after(wait_ms, () => void this.#look());
  }

  async #next(): Promise<object | undefined> {
    try {
      const changed = await this.#source.next();
      this.#failed = false;
      return changed;
    } catch (error) {
      const { log } = this.#world;
      const fields = { topic: this.#topic.name, error: errorText(error) };
      if (!this.#failed) log.log("warn", "pages get no news of what they watch", fields);
      this.#failed = true;
      return { error: fields.error };
    }
  }

  #tell(changed: object | undefined): void {
    if (this.#fresh.size > 0) {
      const whole = this.#source.whole() ?? changed;
      if (whole !== undefined) {
        const text = this.#written(whole);
        for (const page of this.#fresh) page.send(text);
      }
    }
    if (changed !== undefined && this.#pages.size > this.#fresh.size) {
      const text = this.#written(changed);
      for (const page of this.#pages) if (!this.#fresh.has(page)) page.send(text);
    }
    this.#fresh.clear();
  }

  #written(frame: object): string {
    const { name } = this.#topic;
    if (frame instanceof Written) return `{"topic":"${name}",${frame.fields}}`;
    return JSON.stringify({ topic: name, ...frame });
  }
}
