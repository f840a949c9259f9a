/** Requests that peers sent to workers, counted in this router's models until they end. */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import type { RoutedRequest, RoutedSession } from "../../../proto/index.ts";
import { checkedHashes } from "../feed/kv-wire.ts";
import type { KvModel } from "../kv-model.ts";
import type { PlaceRequest } from "../policy/place-request.ts";
import { LOWEST_PRIORITY } from "../traffic.ts";
import type { PeerNews } from "./peer-news.ts";

/** Sessions that are kept for workers that are not known here yet. */
const EARLY_MOST = 100_000;
const no_blocks: HashPairs = new Uint32Array(0);

export class PeerLoad {
  /** By peer and its request; several peers may name a request alike. */
  readonly #live = new Map<string, Map<string, KvModel>>();
  /**
   * Early sessions by the key of their worker, oldest first. A router that starts may hear its
   * peers before the registry tells it of the workers, and a session's binding is told only once.
   */
  readonly #early = new Map<string, RoutedSession[]>();
  #early_count = 0;

  readonly #models: ReadonlyMap<string, KvModel>;

  constructor(models: ReadonlyMap<string, KvModel>) {
    this.#models = models;
  }

  get requests(): number {
    let requests = 0;
    for (const each of this.#live.values()) requests += each.size;
    return requests;
  }

  take(peer: string, { routed, first, ended, sessions }: PeerNews): void {
    const live = this.#live.get(peer) ?? new Map<string, KvModel>();
    this.#live.set(peer, live);
    for (const each of routed) {
      const model = this.#models.get(each.model);
      if (model === undefined) continue;
      const name = nameOf(peer, each.request);
      model.sentElsewhere(requestOf(name, each), each.worker, each.uncached_tokens);
      if (each.first) model.firstToken(name);
      live.set(each.request, model);
    }
    for (const request of first) live.get(request)?.firstToken(nameOf(peer, request));
    for (const request of ended) {
      live.get(request)?.endedElsewhere(nameOf(peer, request));
      live.delete(request);
    }
    for (const each of sessions) {
      if (this.#models.get(each.model)?.sessionElsewhere(each) !== true) this.#keep(each);
    }
  }

  /** A worker of this key has just become known. */
  workerUp(key: string): void {
    for (const each of this.#dropped(key)) this.#models.get(each.model)?.sessionElsewhere(each);
  }

  #keep(session: RoutedSession): void {
    const list = this.#early.get(session.worker);
    if (list === undefined) this.#early.set(session.worker, [session]);
    else list.push(session);
    this.#early_count++;
    for (const oldest of this.#early.keys()) {
      if (this.#early_count <= EARLY_MOST) return;
      this.#dropped(oldest);
    }
  }

  #dropped(key: string): readonly RoutedSession[] {
    const list = this.#early.get(key) ?? [];
    this.#early.delete(key);
    this.#early_count -= list.length;
    return list;
  }

  /** The peer begins again: everything that it told before is void. */
  forget(peer: string): void {
    for (const [request, model] of this.#live.get(peer) ?? []) {
      model.endedElsewhere(nameOf(peer, request));
    }
    this.#live.delete(peer);
  }

  /** The peer is gone; requests that it sent may go on. */
  lose(peer: string): void {
    for (const [request, model] of this.#live.get(peer) ?? []) {
      model.lostElsewhere(nameOf(peer, request));
    }
    this.#live.delete(peer);
  }
}

const nameOf = (peer: string, request: string) => `${peer} ${request}`;

function requestOf(request: string, routed: RoutedRequest): PlaceRequest {
  const { prompt_tokens, hashes, lowest } = routed;
  const known = { request, prompt_tokens, hashes: checkedHashes(hashes) ?? no_blocks };
  return lowest ? { ...known, strict_priority: LOWEST_PRIORITY } : known;
}
