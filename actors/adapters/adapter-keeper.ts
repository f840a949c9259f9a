/**
 * The LoRA adapters of one machine's workers: those that it was started with, and those that were
 * loaded since. Workers follow it, also those that are started later, and it asks them to load and
 * unload what changes.
 *
 *   frontend ── load ──▶ keeper ── finds the file ── load ──▶ each worker of the model
 *                          ▲ ── follow (what I have) ────────────┘ ── set (what you need) ──▶
 *
 * It lives as long as its root. When it alone is restarted, its workers tell it what they have.
 */
import type {
  AdapterDone,
  AdapterFile,
  AdapterMessage,
  FollowAdapters,
  LoadAdapter,
  UnloadAdapter,
  WorkerMessage,
} from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { refOf } from "../../runtime/remote/node.ts";

export type KeptAdapter = AdapterFile & { readonly model: string };

export type AdapterKeeperOptions = {
  /** What the machine was started with. */
  readonly given: readonly KeptAdapter[];
  /** Finds and checks the file of a source, on this machine. Rejects with one line. */
  readonly locate: (source: string) => Promise<string>;
};

type Kept = KeptAdapter & { readonly state: "loading" | "ready" | "leaving" };

type Follower = { readonly model: string; readonly ref: Ref<WorkerMessage> };

/** As many as an engine takes at once (native/troupe.h, TR_MAX_ADAPTERS). */
const ADAPTERS_MAX = 64;
/** Reading a file from a slow disk takes its time; an unload waits for answers beside. */
const LOAD_MS = 120_000;
/** Answers of an adapter that gives way to another may go on for so long. */
const REPLACE_WAIT_MS = 30_000;
/** Beyond what a worker waits for its answers. */
const UNLOAD_BEYOND_MS = 10_000;

export class AdapterKeeper extends Actor<AdapterMessage> {
  readonly #options: AdapterKeeperOptions;
  readonly #kept = new Map<string, Kept>();
  /** By the number of our monitor. */
  readonly #followers = new Map<number, Follower>();

  constructor(options: AdapterKeeperOptions) {
    super();
    this.#options = options;
    for (const adapter of options.given)
      this.#kept.set(adapter.name, { ...adapter, state: "ready" });
  }

  override receive(message: AdapterMessage): void {
    if (message.kind === "follow_adapters") {
      this.#follow(message);
      return;
    }
    const port = this.ctx.replyLater();
    const work = message.kind === "load_adapter" ? this.#load(message) : this.#unload(message);
    work.then(
      (answer) => void port.reply(answer),
      (error: unknown) => void port.reply(failed("load_failed", errorText(error))),
    );
  }

  override down({ monitor }: Down): void {
    this.#followers.delete(monitor);
  }

  override inspect(): Snapshot {
    return {
      followers: this.#followers.size,
      adapters: [...this.#kept.values()].map(({ name, model, state }) => ({ name, model, state })),
    };
  }

  #follow({ model, follower, loaded }: FollowAdapters): void {
    for (const file of loaded) {
      if (!this.#kept.has(file.name)) this.#kept.set(file.name, { ...file, model, state: "ready" });
    }
    if (follower !== undefined) {
      const ref = refOf<WorkerMessage>(this.ctx.system, follower);
      this.#followers.set(this.ctx.monitor(ref), { model, ref });
    }
    const items = [...this.#kept.values()]
      .filter((kept) => kept.model === model && kept.path !== "" && kept.state !== "leaving")
      .map(({ name, source, path, required }) => ({ name, source, path, required }));
    this.ctx.reply({ kind: "adapter_set", items });
  }

  async #load({ model, name, source, replace }: LoadAdapter): Promise<AdapterDone> {
    const known = this.#kept.get(name);
    if (known !== undefined && known.state !== "ready") return busy(known);
    if (known !== undefined && !replace) return failed("exists", `"${name}" is loaded already`);
    if (known === undefined && this.#kept.size >= ADAPTERS_MAX) {
      return failed("busy", `${ADAPTERS_MAX} adapters are loaded, which is the most: unload one`);
    }
    const kept: Kept = { ...{ model, name, source, path: "", required: false }, state: "loading" };
    if (known === undefined) this.#kept.set(name, kept);
    let path: string;
    try {
      path = await this.#options.locate(source);
    } catch (error) {
      if (known === undefined) this.#kept.delete(name);
      return failed("bad_source", errorText(error));
    }
    if (known !== undefined) await this.#drop(known, REPLACE_WAIT_MS);
    this.#kept.set(name, { ...kept, path });
    const message = { kind: "load_adapter", model, name, source, path, replace } as const;
    const said = await this.#ask(model, (ref) =>
      this.ctx.ask(ref, message, { deadline_ms: LOAD_MS }),
    );
    const refusal = said.find(({ code }) => code !== "");
    if (refusal === undefined) {
      this.#kept.set(name, { ...kept, path, state: "ready" });
      return done;
    }
    await this.#drop({ ...kept, path }, 0);
    return refusal;
  }

  async #unload({ name, wait_ms }: UnloadAdapter): Promise<AdapterDone> {
    const kept = this.#kept.get(name);
    if (kept === undefined) return failed("not_found", `no adapter "${name}" is loaded`);
    if (kept.state !== "ready") return busy(kept);
    return await this.#drop(kept, wait_ms);
  }

  async #drop(kept: KeptAdapter, wait_ms: number): Promise<AdapterDone> {
    const { name, model } = kept;
    this.#kept.set(name, { ...kept, state: "leaving" });
    const message = { kind: "unload_adapter", name, wait_ms } as const;
    const said = await this.#ask(model, (ref) =>
      this.ctx.ask(ref, message, { deadline_ms: wait_ms + UNLOAD_BEYOND_MS }),
    );
    this.#kept.delete(name);
    return said.find(({ code }) => code !== "") ?? done;
  }

  /** A worker that ends meanwhile has said nothing wrong: its next life follows anew. */
  async #ask(
    model: string,
    ask: (ref: Ref<WorkerMessage>) => Promise<AdapterDone>,
  ): Promise<readonly AdapterDone[]> {
    const followers = [...this.#followers].filter(([, follower]) => follower.model === model);
    return await Promise.all(
      followers.map(async ([monitor, { ref }]) => {
        try {
          return await ask(ref);
        } catch (error) {
          return this.#followers.has(monitor) ? failed("load_failed", errorText(error)) : done;
        }
      }),
    );
  }
}

const done: AdapterDone = { kind: "adapter_done", code: "", message: "" };
const failed = (code: string, message: string): AdapterDone => ({
  ...{ kind: "adapter_done", code, message },
});
const busy = ({ name, state }: Kept): AdapterDone =>
  failed("busy", `"${name}" is being ${state === "loading" ? "loaded" : "unloaded"} just now`);
