/**
 * The LoRA adapters of a worker's engine. The keeper of its machine (actors/adapters) says which it
 * is to have, at its start and later; its record in the registry says which it has.
 *
 *   keeper ── load, unload ──▶ one after the other ──▶ engine ──▶ record
 */
import type {
  Adapter,
  AdapterDone,
  AdapterFile,
  AdapterMessage,
  LoadAdapter,
  UnloadAdapter,
} from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { wireOf } from "../../runtime/remote/node.ts";
import type { Engine } from "../engine/engine.ts";

/** Told to the worker actor by its own timers. */
export type AdaptersTimer =
  | { readonly kind: "follow_again" }
  | { readonly kind: "adapter_late"; readonly adapter: string };

export type AdaptersHost = {
  readonly ctx: () => Pick<
    Context<AdaptersTimer>,
    "ask" | "self" | "system" | "monitor" | "after" | "cancel" | "log"
  >;
  readonly engine: () => Pick<Engine, "loadAdapter" | "unloadAdapter">;
  readonly model: () => string;
  /** Undefined: adapters come from nowhere. */
  readonly keeper: (() => Ref<AdapterMessage>) | undefined;
  /** The record has changed. */
  readonly changed: () => Promise<void>;
  /** Ends the answers that still use it. */
  readonly cut: (adapter: string) => void;
};

const FOLLOW_MS = 10_000;
const FOLLOW_AGAIN_MS = 1_000;

export class WorkerAdapters {
  readonly #host: AdaptersHost;
  readonly #loaded = new Map<string, AdapterFile>();
  /** Loads and unloads go one after the other. */
  #work: Promise<unknown> = Promise.resolve();
  #monitor = 0;

  constructor(host: AdaptersHost) {
    this.#host = host;
  }

  /** As the record has them. */
  get list(): readonly Adapter[] {
    return [...this.#loaded.values()].map(({ name, source }) => ({ name, source }));
  }

  has(name: string): boolean {
    return this.#loaded.has(name);
  }

  /**
   * Loads what the keeper names, and hears of changes from then on. Rejects when an adapter that
   * the machine was started with cannot be loaded; others are left out, and the log says so.
   */
  async follow(): Promise<void> {
    const { keeper, engine, model } = this.#host;
    if (keeper === undefined || engine().loadAdapter === undefined) return;
    const ctx = this.#host.ctx();
    const ref = keeper();
    this.#monitor = ctx.monitor(ref);
    const loaded = [...this.#loaded.values()];
    const follower = wireOf(ctx.system, ctx.self);
    const message = { kind: "follow_adapters", model: model(), follower, loaded } as const;
    let items: readonly AdapterFile[];
    try {
      ({ items } = await ctx.ask(ref, message, { deadline_ms: FOLLOW_MS }));
    } catch {
      // It is being restarted; requests without an adapter can be served.
      ctx.after(FOLLOW_AGAIN_MS, { kind: "follow_again" });
      return;
    }
    for (const file of items) {
      const { code, message } = await this.load(file);
      if (code === "") continue;
      if (file.required) throw new Error(`the adapter "${file.name}": ${message}`);
      ctx.log.log("warn", "an adapter is left out", { adapter: file.name, why: message });
    }
  }

  /** False: the monitor is not ours. */
  keeperGone(monitor: number): boolean {
    if (monitor !== this.#monitor) return false;
    this.#host.ctx().after(FOLLOW_AGAIN_MS, { kind: "follow_again" });
    return true;
  }

  onTimer(message: AdaptersTimer): void {
    if (message.kind === "adapter_late") {
      this.#host.cut(message.adapter);
      return;
    }
    this.follow().catch((error: unknown) => {
      this.#host.ctx().log.log("warn", "an adapter is left out", { why: errorText(error) });
    });
  }

  load(file: Omit<AdapterFile, "required"> | LoadAdapter): Promise<AdapterDone> {
    return this.#next(async () => {
      const { name, source, path } = file;
      const { loadAdapter } = this.#host.engine();
      if (loadAdapter === undefined) return failed("this engine takes no adapters");
      if (this.#loaded.get(name)?.path === path) return done;
      await this.#host.engine().loadAdapter!(name, path);
      this.#loaded.set(name, { name, source, path, required: false });
      await this.#host.changed();
      return done;
    });
  }

  /** No request gets it from now on; those that have it may go on for `wait_ms`. */
  unload({ name, wait_ms }: UnloadAdapter): Promise<AdapterDone> {
    return this.#next(async () => {
      if (!this.#loaded.delete(name)) return done;
      await this.#host.changed();
      const late = this.#host.ctx().after(wait_ms, { kind: "adapter_late", adapter: name });
      await this.#host.engine().unloadAdapter!(name);
      this.#host.ctx().cancel(late);
      return done;
    });
  }

  #next(work: () => Promise<AdapterDone>): Promise<AdapterDone> {
    const result = this.#work.then(work).catch((error: unknown) => failed(errorText(error)));
    this.#work = result;
    return result;
  }
}

const done: AdapterDone = { kind: "adapter_done", code: "", message: "" };
const failed = (message: string): AdapterDone => ({
  ...{ kind: "adapter_done", code: "load_failed", message },
});
