/**
 * Blocks in a JetStream stream of NATS, a subject each, in as many messages as its limit asks for:
 * the first one begins with their number. The stream keeps the newest of each subject, drops the
 * oldest beyond its capacity, and what is older than its time.
 */
import { OpenOnce } from "../../../runtime/store/open-once.ts";
import { type Bus, BusError } from "../../../runtime/transport/bus.ts";
import type { BlockStore, StoreLimits } from "./block-store.ts";

const CALL_MS = 2_000;
/** Of a message's limit, for the headers that NATS adds. */
const SPARE_BYTES = 4096;
const COUNT_BYTES = 4;

type Answer = { readonly error?: { readonly description?: string }; readonly seq?: number };

export class NatsBlocks implements BlockStore {
  readonly name: string;
  readonly #bus: Bus;
  readonly #stream: string;
  readonly #limits: StoreLimits;
  readonly #opened = new OpenOnce(() => this.#open());

  /** `prefix` has the cluster's namespace in it. Does not close `bus`. */
  constructor(bus: Bus, prefix: string, limits: StoreLimits) {
    this.name = bus.name;
    this.#bus = bus;
    this.#stream = `${prefix}-blocks`.replaceAll(/[^\w-]/g, "-");
    this.#limits = limits;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    await this.#opened.get();
    const first = await this.#part(name, 0);
    if (first.length < COUNT_BYTES) return undefined;
    const parts = new DataView(first.buffer, first.byteOffset).getUint32(0, true);
    const rest = Array.from({ length: Math.max(0, parts - 1) }, (_, i) => this.#part(name, i + 1));
    const pieces = await Promise.all(rest);
    if (pieces.some((piece) => piece.length === 0)) return undefined;
    return new Uint8Array(Buffer.concat([first.subarray(COUNT_BYTES), ...pieces]));
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const whole = new Uint8Array(COUNT_BYTES + bytes.length);
    whole.set(bytes, COUNT_BYTES);
    const size = this.#bus.payload_limit_bytes - SPARE_BYTES;
    const parts = Math.ceil(whole.length / size);
    new DataView(whole.buffer).setUint32(0, parts, true);
    await this.#opened.get();
    const puts = Array.from({ length: parts }, async (_, i) => {
      const piece = whole.subarray(i * size, (i + 1) * size);
      this.#checked(await this.#bus.ask(this.#subject(name, i), piece, CALL_MS));
    });
    await Promise.all(puts);
  }

  #subject(name: string, part: number): string {
    return `${this.#stream}.${name.replaceAll(/[^\w-]/g, "-")}.${part}`;
  }

  /** Empty: there is none. */
  #part(name: string, part: number): Promise<Uint8Array> {
    const subject = `$JS.API.DIRECT.GET.${this.#stream}.${this.#subject(name, part)}`;
    return this.#bus.ask(subject, new Uint8Array(), CALL_MS);
  }

  async #open(): Promise<void> {
    const { capacity_bytes, ttl_ms } = this.#limits;
    const config = {
      ...{ name: this.#stream, subjects: [`${this.#stream}.>`], retention: "limits" },
      ...{ storage: "file", discard: "old", num_replicas: 1, allow_direct: true },
      ...{ max_msgs_per_subject: 1, max_bytes: capacity_bytes, max_age: ttl_ms * 1_000_000 },
      // In nanoseconds, and no longer than max_age.
      duplicate_window: Math.min(ttl_ms, 1_000) * 1_000_000,
    };
    const call = (verb: string) => {
      const bytes = new TextEncoder().encode(JSON.stringify(config));
      return this.#bus.ask(`$JS.API.STREAM.${verb}.${this.#stream}`, bytes, CALL_MS);
    };
    try {
      const made = answerOf(await call("CREATE"));
      // Made before with other limits.
      if (made.error !== undefined) this.#checked(await call("UPDATE"));
    } catch (error) {
      if (!(error instanceof BusError && error.code === "nobody")) throw error;
      throw new BusError("nobody", `${this.name} has no JetStream: start nats-server with -js`);
    }
  }

  #checked(answer: Uint8Array): void {
    const { error } = answerOf(answer);
    if (error !== undefined) throw new BusError("away", `NATS: ${error.description ?? "refused"}`);
  }
}

const answerOf = (bytes: Uint8Array): Answer => JSON.parse(new TextDecoder().decode(bytes));
