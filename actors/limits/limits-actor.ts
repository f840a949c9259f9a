/**
 * What all keys of a cluster have used. It lives in the root; the frontends ask it once a request
 * that has limits, and tell it how the answer ended.
 *
 *     frontend ── Reserve, Settle ──▶ limits ──▶ Ledger (one machine) or Redis (several)
 *
 * While Redis is away this machine counts by itself: it forgets nothing that it saw, and what other
 * machines use meanwhile is not seen. The tokens of a day outlive this process: Redis has them, or
 * the store, which gets them once a second.
 */
import type { ActorRef, LimitsMessage, Reserve, Reserved, Settle } from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import { refOf } from "../../runtime/remote/node.ts";
import { Ledger } from "./ledger.ts";
import type { RedisUsage } from "./redis-usage.ts";
import { type Decision, dayOf, type Now } from "./usage.ts";

export type LimitsOptions = {
  /** Undefined: one machine. */
  readonly redis?: RedisUsage | undefined;
};

type OwnMessage = { readonly kind: "save" };
type Asker = { readonly key: string; readonly monitor: number; readonly open: Map<string, Settle> };

const SAVE_MS = 1_000;
const dayKey = (day: number) => `limits/day/${day}`;

export class LimitsActor extends Actor<LimitsMessage | OwnMessage> {
  readonly #redis: RedisUsage | undefined;
  readonly #ledger = new Ledger();
  /** By the node and path of the asking door. */
  readonly #askers = new Map<string, Asker>();
  #saved = "";
  #saving = false;
  #away = false;
  #unstored = false;

  constructor({ redis }: LimitsOptions) {
    super();
    this.#redis = redis;
  }

  override async init(): Promise<void> {
    if (this.#redis !== undefined) return;
    const { clock, capabilities } = this.ctx;
    try {
      const bytes = await capabilities.store.get(dayKey(dayOf(clock.wall_ms())));
      if (bytes !== undefined) this.#remember(bytes);
    } catch (error) {
      this.#storeFails(error);
    }
    this.ctx.every(SAVE_MS, { kind: "save" });
  }

  override receive(message: LimitsMessage | OwnMessage): void {
    switch (message.kind) {
      case "reserve":
        if (this.#redis === undefined) this.ctx.reply(this.#book(message, this.#local(message)));
        else void this.#reserveShared(message, this.#redis, this.ctx.replyLater());
        return;
      case "settle":
        this.#settle(message);
        return;
      case "save":
        void this.#save();
    }
  }

  override async terminate(): Promise<void> {
    if (this.#redis === undefined) await this.#save();
  }

  /** The frontend is gone: its answers do not go on, or go on as somebody else's. */
  override down({ monitor }: Down): void {
    for (const { key, open, monitor: own } of this.#askers.values()) {
      if (own !== monitor) continue;
      this.#askers.delete(key);
      for (const settle of open.values()) this.#end(settle);
    }
  }

  override inspect(): Snapshot {
    return {
      keys: this.#ledger.size,
      askers: this.#askers.size,
      counted_in: this.#redis === undefined ? "memory" : this.#redis.up ? "redis" : "memory (away)",
    };
  }

  #now(): Now {
    return { now_ms: this.ctx.clock.now_ms(), wall_ms: this.ctx.clock.wall_ms() };
  }

  #local(ask: Reserve): Decision {
    return this.#ledger.reserve(ask, this.#now());
  }

  async #reserveShared(ask: Reserve, redis: RedisUsage, port: ReplyPort): Promise<void> {
    // What this machine saw is what it goes by while Redis is away.
    const local = this.#local(ask);
    try {
      const shared = await redis.reserve(ask);
      if (local.refused_by === "" && shared.refused_by !== "") {
        const { key, reservation, tokens } = ask;
        this.#ledger.settle({ key, reservation, reserved: tokens, used: 0, day: local.day });
      }
      this.#away = false;
      port.reply(this.#book(ask, shared));
    } catch (error) {
      if (!this.#away) {
        const why = errorText(error);
        this.ctx.log.log("warn", "limits of keys are counted by this machine alone", { why });
      }
      this.#away = true;
      port.reply(this.#book(ask, local));
    }
  }

  #book(ask: Reserve, decision: Decision): Reserved {
    if (decision.refused_by === "" && ask.asker !== undefined) {
      const { key, reservation, tokens } = ask;
      // When the asker dies, what was reserved counts as used.
      const counts = { reserved: tokens, used: tokens, day: decision.day };
      this.#askerOf(ask.asker).open.set(reservation, {
        kind: "settle",
        key,
        reservation,
        ...counts,
      });
    }
    return { kind: "reserved", ...decision };
  }

  #settle(settle: Settle): void {
    for (const { open } of this.#askers.values()) if (open.delete(settle.reservation)) break;
    this.#end(settle);
  }

  #end(settle: Settle): void {
    this.#ledger.settle(settle);
    this.#redis?.settle(settle).catch(() => {
      // Its reservation stays until its time is over.
    });
  }

  #askerOf(wire: ActorRef): Asker {
    const key = `${wire.node} ${wire.path} ${Buffer.from(wire.incarnation).toString("hex")}`;
    const known = this.#askers.get(key);
    if (known !== undefined) return known;
    const monitor = this.ctx.monitor(refOf(this.ctx.system, wire));
    const asker = { key, monitor, open: new Map<string, Settle>() };
    this.#askers.set(key, asker);
    return asker;
  }

  #remember(bytes: Uint8Array): void {
    const stored: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof stored !== "object" || stored === null) return;
    const tokens = Object.entries(stored).filter(([, used]) => typeof used === "number");
    this.#ledger.remember(Object.fromEntries(tokens) as Record<string, number>, this.#now());
  }

  async #save(): Promise<void> {
    const day = dayOf(this.ctx.clock.wall_ms());
    const text = JSON.stringify(this.#ledger.dayTokens(day));
    if (this.#saving || text === this.#saved || (text === "{}" && this.#saved === "")) return;
    this.#saving = true;
    try {
      const { store } = this.ctx.capabilities;
      await store.put(dayKey(day), new TextEncoder().encode(text));
      await store.delete(dayKey(day - 1));
      this.#saved = text;
      this.#unstored = false;
    } catch (error) {
      this.#storeFails(error);
    } finally {
      this.#saving = false;
    }
  }

  #storeFails(error: unknown): void {
    if (this.#unstored) return;
    this.#unstored = true;
    const line = "the daily budgets of keys are not stored: a restart would forget them";
    this.ctx.log.log("warn", line, { why: errorText(error) });
  }
}
