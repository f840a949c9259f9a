/**
 * The live feed: one WebSocket for all views, which says what they want now. When it cannot be had,
 * the page asks over HTTP instead, and goes on trying.
 */
import { backoff_ms } from "./backoff.ts";
import { Store } from "./store.ts";
import type { Frame, Topic } from "./types.ts";

export type Wants = {
  readonly topics?: readonly Topic[];
  /** Id of the actor to watch. */
  readonly actor?: string | undefined;
  readonly request?: string | undefined;
};

/** `asks`: frames come by requests, once in a while. */
export type Link = "idle" | "connects" | "live" | "asks" | "lost";

export type LiveSocket = {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
};

export type LiveWorld = {
  open(): LiveSocket;
  /** Returns what cancels it. */
  after(delay_ms: number, run: () => void): () => void;
  unit(): number;
  /** The state of a topic over HTTP, as a frame. */
  poll(topic: Topic, wants: Wants): Promise<Frame | undefined>;
};

/** Tries without a socket before the page asks over HTTP. */
const TRIES_BEFORE_ASKING = 2;
const ASK_EVERY_MS = 2_000;

export class Live {
  readonly link = new Store<Link>("idle");
  readonly #world: LiveWorld;
  readonly #wants = new Set<Wants>();
  readonly #handlers = new Map<Topic, Set<(frame: Frame) => void>>();
  #socket: LiveSocket | undefined;
  #open = false;
  #failures = 0;
  #told = "";
  #paused = false;
  #cancelTry: (() => void) | undefined;
  #cancelAsk: (() => void) | undefined;
  #cancelTell: (() => void) | undefined;

  constructor(world: LiveWorld) {
    this.#world = world;
  }

  /** Returns what ends it. */
  want(wants: Wants): () => void {
    this.#wants.add(wants);
    this.#changed();
    return () => {
      this.#wants.delete(wants);
      this.#changed();
    };
  }

  /** Returns what ends it. */
  on(topic: Topic, handler: (frame: Frame) => void): () => void {
    const all = this.#handlers.get(topic) ?? new Set();
    this.#handlers.set(topic, all.add(handler));
    return () => void all.delete(handler);
  }

  /** Nobody looks: the server need not work for this page. */
  pause(): void {
    this.#paused = true;
    this.#drop();
    this.link.set("idle");
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#failures = 0;
    this.#changed();
  }

  get wanted(): Wants & { readonly topics: readonly Topic[] } {
    const all = [...this.#wants];
    return {
      topics: [...new Set(all.flatMap(({ topics = [] }) => topics))].sort(),
      actor: all.findLast(({ actor }) => actor !== undefined)?.actor,
      request: all.findLast(({ request }) => request !== undefined)?.request,
    };
  }

  /** Several wants of one change of view are told as one. */
  #changed(): void {
    if (this.#paused) return;
    this.#cancelTell ??= this.#world.after(0, () => {
      this.#cancelTell = undefined;
      this.#tell();
    });
  }

  #tell(): void {
    if (this.#paused) return;
    if (this.#socket === undefined && this.#cancelTry === undefined && this.#wants.size > 0) {
      this.#connect();
      return;
    }
    if (!this.#open) return;
    const { topics, actor = null, request = null } = this.wanted;
    const watch = topics.filter((topic) => topic !== "actor" && topic !== "request");
    const text = JSON.stringify({ watch, actor, request });
    if (text === this.#told) return;
    this.#told = text;
    this.#socket?.send(text);
  }

  #connect(): void {
    if (this.link.value === "idle") this.link.set("connects");
    const socket = this.#world.open();
    this.#socket = socket;
    socket.onopen = () => {
      this.#open = true;
      this.#failures = 0;
      this.#told = "";
      this.#cancelAsk?.();
      this.#cancelAsk = undefined;
      this.link.set("live");
      this.#tell();
    };
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => {
      if (this.#socket === socket) this.#closed();
    };
  }

  #closed(): void {
    this.#socket = undefined;
    this.#open = false;
    if (this.#paused) return;
    this.#failures += 1;
    if (this.link.value !== "asks") this.link.set("lost");
    this.#cancelTry = this.#world.after(backoff_ms(this.#failures, this.#world.unit()), () => {
      this.#cancelTry = undefined;
      if (this.#wants.size > 0) this.#connect();
    });
    if (this.#failures >= TRIES_BEFORE_ASKING && this.#cancelAsk === undefined) this.#ask();
  }

  #ask(): void {
    let isOver = false;
    let cancel = () => {};
    let rounds = 0;
    this.#cancelAsk = () => {
      isOver = true;
      cancel();
    };
    const round = async () => {
      const wants = this.wanted;
      const topics: readonly Topic[] = [
        ...wants.topics,
        ...(wants.actor === undefined ? [] : (["actor"] as const)),
        ...(wants.request === undefined ? [] : (["request"] as const)),
      ];
      const frames = await Promise.allSettled(
        topics.map((topic) => this.#world.poll(topic, wants)),
      );
      if (isOver) return;
      const came = frames.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      // It was away and is back: its socket may be, too.
      const is_back = came.length > 0 && this.link.value === "lost";
      if (topics.length > 0) this.link.set(came.length > 0 ? "asks" : "lost");
      for (const frame of came) if (frame !== undefined) this.#deliver(frame);
      cancel = this.#world.after(ASK_EVERY_MS, () => void round());
      if (is_back && rounds > 0) this.#tryNow();
      rounds += 1;
    };
    void round();
  }

  #tryNow(): void {
    if (this.#cancelTry === undefined) return;
    this.#cancelTry();
    this.#cancelTry = undefined;
    this.#connect();
  }

  #take(data: unknown): void {
    if (typeof data !== "string") return;
    try {
      const frame = JSON.parse(data) as Frame;
      if (!isFailure(frame)) this.#deliver(frame);
    } catch {
      // A frame that cannot be read is left out; the next full one has it all.
    }
  }

  #deliver(frame: Frame): void {
    for (const handler of this.#handlers.get(frame.topic) ?? []) handler(frame);
  }

  #drop(): void {
    for (const cancel of [this.#cancelTry, this.#cancelAsk, this.#cancelTell]) cancel?.();
    this.#cancelTry = undefined;
    this.#cancelAsk = undefined;
    this.#cancelTell = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    this.#open = false;
    socket?.close();
  }
}

/** Nothing but why there is no news: what the views have stays, and a later frame goes on. */
const isFailure = (frame: Frame): boolean =>
  "error" in frame && Object.keys(frame).every((name) => name === "topic" || name === "error");
