/**
 * LoRA adapters by name, each at a place of the native engine (native/troupe.h, tr_adapter_load).
 * Loading and unloading are under way on the engine's thread; a wake says that a place has changed.
 */
import { type NativeEngine, TR } from "../../../native/index.ts";
import { AdapterError } from "../engine.ts";
import { saltOf } from "./request.ts";

type Waiting = { readonly resolve: () => void; readonly reject: (error: Error) => void };

export class LlamaAdapters {
  readonly #native: NativeEngine;
  readonly #places = new Map<string, number>();
  /** By place, of those that are loaded or unloaded now. */
  readonly #waiting = new Map<number, Waiting>();

  constructor(native: NativeEngine) {
    this.#native = native;
  }

  /** Its place; undefined: no such adapter is loaded. */
  placeOf(name: string): number | undefined {
    const place = this.#places.get(name);
    return place === undefined || this.#waiting.has(place) ? undefined : place;
  }

  async load(name: string, path: string): Promise<void> {
    if (this.#places.has(name)) throw new AdapterError(`the adapter "${name}" is loaded already`);
    const place = this.#freePlace();
    if (place === undefined) {
      throw new AdapterError(`${TR.MAX_ADAPTERS} adapters are loaded, which is the most`);
    }
    const code = this.#native.loadAdapter(place, path);
    if (code !== 0) throw new AdapterError(loadRefusals[code] ?? `the engine refuses it (${code})`);
    this.#places.set(name, place);
    try {
      await this.#settled(place);
    } catch (error) {
      this.#places.delete(name);
      throw error;
    }
  }

  async unload(name: string): Promise<void> {
    const place = this.placeOf(name);
    if (place === undefined) return;
    const code = this.#native.unloadAdapter(place, saltOf({ adapter: name }));
    if (code !== 0) throw new AdapterError(loadRefusals[code] ?? `the engine refuses it (${code})`);
    await this.#settled(place);
    this.#places.delete(name);
  }

  /** The engine has news. */
  look(): void {
    for (const [place, { resolve, reject }] of this.#waiting) {
      const state = this.#native.adapterState(place);
      if (state === TR.ADAPTER_BUSY) continue;
      this.#waiting.delete(place);
      if (state !== TR.ADAPTER_FAILED) resolve();
      else reject(new AdapterError(this.#native.adapterMessage(place)));
    }
  }

  /** Nothing settles any more. */
  close(): void {
    for (const { reject } of this.#waiting.values())
      reject(new AdapterError("the engine is closed"));
    this.#waiting.clear();
  }

  #settled(place: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(place, { resolve, reject });
      this.look();
    });
  }

  #freePlace(): number | undefined {
    const taken = new Set(this.#places.values());
    for (let place = 1; place <= TR.MAX_ADAPTERS; place++) if (!taken.has(place)) return place;
    return undefined;
  }
}

const loadRefusals: Readonly<Record<number, string>> = {
  [TR.ERR_CLOSED]: "the engine is closed",
  [TR.ERR_QUEUE_FULL]: "the engine has too much to do; try again",
  [TR.ERR_NOT_SUPPORTED]: "the model generates nothing and takes no adapters",
};
