/**
 * The peers of a router: the routers of the other frontends. Each tells all others which request it
 * sends to which worker; there is no leader.
 *
 *   registry ── there ──▶ RouterJoin ──▶ … RouterNews anew, then news by number
 *                             ▲                   │ a gap
 *                             └───────────────────┘    Down, or gone: what it said is forgotten,
 *                                                      and it is made to ask again
 *
 * Workers report their load to every router, 50 ms old at most. News cover the time between two
 * reports, so that two routers do not send a burst to the same idle worker; prefixes on their way;
 * and sessions, of which workers know nothing.
 */
import type { ActorRef, PeerMessage, RouterNews } from "../../../proto/index.ts";
import type { Timer } from "../../../runtime/capabilities.ts";
import type { Down } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { workerKey } from "../../names/names.ts";
import type { PeerNews } from "./peer-news.ts";

export type PeersOwn =
  | { readonly kind: "routers_are"; readonly routers: readonly ActorRef[] }
  | { readonly kind: "tell_peers" }
  | { readonly kind: "join_again" };

/** Calls the listener with all routers there are, this one too, now and at each change. */
export type WatchRouters = (listener: (routers: readonly ActorRef[]) => void) => () => void;

export type PeerOptions = {
  readonly watch: WatchRouters;
  /** Makes this life of the router known to the others. */
  readonly announce: (self: Ref) => void;
};

export interface PeerListener {
  /** Everything of this router that is live. */
  whole(): Pick<PeerNews, "routed" | "sessions" | "busy">;
  news(peer: string, news: PeerNews): void;
  /** The peer begins again: everything that it told before is void. */
  forget(peer: string): void;
  /** The peer is gone. */
  lost(peer: string): void;
}

export interface PeerContext {
  readonly self: Ref<PeersOwn | PeerMessage>;
  readonly system: ActorSystem;
  monitor(ref: Ref): number;
  demonitor(monitor: number): void;
  after(delay_ms: number, message: PeersOwn): Timer;
}

type Peer = {
  readonly key: string;
  readonly ref: Ref<PeerMessage>;
  monitor: number;
  /** True: the peer has joined and gets our news. */
  joined: boolean;
  /** Numbers of the last news to the peer and from it; 0: its first one is awaited. */
  sent: number;
  received: number;
};

const JOIN_AGAIN_MS = 1_000;
/** Items of one message: far below the largest frame, however long the prompts are. */
const PIECE = 256;

const nothing = (): { -readonly [Key in keyof PeerNews]: PeerNews[Key] } => ({
  routed: [],
  first: [],
  ended: [],
  sessions: [],
  busy: [],
});

export class PeerRouters {
  readonly #ctx: PeerContext;
  readonly #listener: PeerListener;
  readonly #own: ActorRef;
  readonly #peers = new Map<string, Peer>();
  readonly #unwatch: () => void;
  #waiting = nothing();
  #telling = false;
  #joining = false;

  constructor(ctx: PeerContext, options: PeerOptions | undefined, listener: PeerListener) {
    this.#ctx = ctx;
    this.#listener = listener;
    this.#own = wireOf(ctx.system, ctx.self);
    options?.announce(ctx.self);
    const changed = (routers: readonly ActorRef[]) =>
      ctx.self.tell({ kind: "routers_are", routers });
    this.#unwatch = options?.watch(changed) ?? (() => {});
  }

  /** Some router has joined: without one there is nothing to tell. */
  get hasListeners(): boolean {
    for (const { joined } of this.#peers.values()) if (joined) return true;
    return false;
  }

  stop(): void {
    this.#unwatch();
  }

  tell(news: Partial<PeerNews>): void {
    if (!this.hasListeners) return;
    const waiting = this.#waiting;
    waiting.routed = waiting.routed.concat(news.routed ?? []);
    waiting.first = waiting.first.concat(news.first ?? []);
    waiting.ended = waiting.ended.concat(news.ended ?? []);
    waiting.sessions = waiting.sessions.concat(news.sessions ?? []);
    waiting.busy = waiting.busy.concat(news.busy ?? []);
    if (this.#telling) return;
    this.#telling = true;
    // Behind what is in the mailbox already: a burst of requests is one message.
    this.#ctx.self.tell({ kind: "tell_peers" });
  }

  receive(message: PeersOwn | PeerMessage): void {
    switch (message.kind) {
      case "routers_are":
        this.#onRouters(message.routers);
        break;
      case "tell_peers":
        this.#flush();
        break;
      case "join_again":
        this.#joining = false;
        this.#join();
        break;
      case "router_join":
        if (message.from !== undefined) this.#onJoin(this.#peerOf(message.from));
        break;
      case "router_news":
        if (message.from !== undefined) this.#onNews(this.#peerOf(message.from), message);
        break;
    }
  }

  /** True: the monitor was a peer's. The peer is tried again until the registry drops it. */
  down({ monitor }: Down): boolean {
    for (const peer of this.#peers.values()) {
      if (peer.monitor !== monitor) continue;
      peer.monitor = 0;
      peer.joined = false;
      peer.received = 0;
      this.#listener.lost(peer.key);
      this.#joinSoon();
      return true;
    }
    return false;
  }

  inspect() {
    return [...this.#peers.values()].map(({ key, joined, sent, received }) => ({
      router: key,
      listens: joined,
      sent,
      heard: received,
    }));
  }

  #onRouters(routers: readonly ActorRef[]): void {
    const present = new Set(routers.map(keyOf));
    for (const [key, peer] of this.#peers) {
      if (present.has(key)) continue;
      this.#peers.delete(key);
      if (peer.monitor > 0) this.#ctx.demonitor(peer.monitor);
      this.#listener.lost(key);
    }
    for (const router of routers) if (keyOf(router) !== keyOf(this.#own)) this.#peerOf(router);
    this.#join();
  }

  #peerOf(router: ActorRef): Peer {
    const key = keyOf(router);
    const known = this.#peers.get(key);
    if (known !== undefined) return known;
    const ref = refOf<PeerMessage>(this.#ctx.system, router);
    const peer = { key, ref, monitor: 0, joined: false, sent: 0, received: 0 };
    this.#peers.set(key, peer);
    return peer;
  }

  /** Asks every router that has not begun to tell. Repeated, since a message may be lost. */
  #join(): void {
    let missing = false;
    for (const peer of this.#peers.values()) {
      if (peer.received > 0 && peer.joined) continue;
      missing = true;
      if (peer.received > 0) {
        this.#wake(peer);
        continue;
      }
      if (peer.monitor === 0) peer.monitor = this.#ctx.monitor(peer.ref);
      peer.ref.tell({ kind: "router_join", from: this.#own });
    }
    if (missing) this.#joinSoon();
  }

  /**
   * The peer tells us its news and has not joined ours. It may believe that it has: a connection
   * broke, or the registry dropped it for a moment, and only we noticed. News never have the number
   * 0, so the peer sees a gap and joins again.
   */
  #wake(peer: Peer): void {
    const news = { from: this.#own, number: 0, anew: false, ...nothing() };
    peer.ref.tell({ kind: "router_news", ...news });
  }

  #joinSoon(): void {
    if (this.#joining) return;
    this.#joining = true;
    this.#ctx.after(JOIN_AGAIN_MS, { kind: "join_again" });
  }

  #onJoin(peer: Peer): void {
    // Waiting news are part of the whole, so the other peers get them first.
    this.#flush();
    peer.joined = true;
    peer.sent = 0;
    this.#send(peer, nothing(), true);
    for (const news of piecesOf({ ...nothing(), ...this.#listener.whole() })) {
      this.#send(peer, news, false);
    }
    if (peer.received === 0) this.#join();
  }

  #onNews(peer: Peer, { anew, number, ...news }: RouterNews): void {
    if (anew) this.#listener.forget(peer.key);
    else if (number !== peer.received + 1 || peer.received === 0) {
      // An unknown start of the peer, or a gap: the peer has to begin again.
      const begun = peer.received > 0;
      this.#listener.forget(peer.key);
      peer.received = 0;
      if (begun) this.#join();
      else this.#joinSoon();
      return;
    }
    peer.received = number;
    this.#listener.news(peer.key, news);
  }

  #flush(): void {
    this.#telling = false;
    const news = this.#waiting;
    this.#waiting = nothing();
    for (const piece of piecesOf(news)) {
      for (const peer of this.#peers.values()) if (peer.joined) this.#send(peer, piece, false);
    }
  }

  #send(peer: Peer, news: PeerNews, anew: boolean): void {
    peer.sent++;
    peer.ref.tell({ kind: "router_news", from: this.#own, number: peer.sent, anew, ...news });
  }
}

function keyOf(router: ActorRef): string {
  return workerKey(router.node + router.path, router);
}

/**
 * One message or several; a request always comes before its first token, and that before its end.
 */
function* piecesOf(news: PeerNews): Iterable<PeerNews> {
  const { routed, first, ended, sessions, busy } = news;
  const all = routed.length + first.length + ended.length + sessions.length + busy.length;
  if (all <= PIECE) {
    if (all > 0) yield news;
    return;
  }
  const parts = [{ busy }, { routed }, { sessions }, { first }, { ended }] as const;
  for (const part of parts) {
    for (const [name, items] of Object.entries(part)) {
      for (let at = 0; at < items.length; at += PIECE) {
        yield { ...nothing(), [name]: items.slice(at, at + PIECE) };
      }
    }
  }
}
