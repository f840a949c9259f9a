/**
 * A worker's way to the keeper of its machine's blocks: a space that it has open, or none just now.
 *
 *   closed ── open ──▶ opening ── space ──▶ open ── an ask failed, the keeper is gone ──▶ closed
 *
 * Everything that goes wrong closes it. The keeper frees what this worker had when it opens the
 * next space, so nothing is lost track of. That is opened when nothing of the last one is used any
 * more, and after a pause that doubles, so that a keeper that hangs costs requests little.
 */
import type { KvIdentity, KvKeeperMessage, KvSpace, WorkerRecord } from "../../../proto/index.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import type { AskError } from "../../../runtime/kernel/errors.ts";
import type { Message, ReplyTo } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { identityText, type MappedSegment, type MapSegment } from "../../kv/kv.ts";

/** Told to the worker actor by timers here. */
export type LinkTimer = { readonly kind: "kv_open" | "kv_resend" };

export type TierOptions = {
  /** The machine's keeper now; undefined: it is not there. */
  readonly keeper: () => Ref<KvKeeperMessage> | undefined;
  readonly map: MapSegment;
  /** What the blocks of this worker's engine are good for; may take a while. */
  readonly identity: () => Promise<Omit<KvIdentity, "block_size" | "block_bytes">>;
  /** Of the worker's process, 0 where it shares that with others. */
  readonly pid: number;
};

export type LinkHost = {
  readonly ctx: () => Pick<
    Context<LinkTimer>,
    "ask" | "askThen" | "self" | "system" | "monitor" | "demonitor" | "after" | "log"
  >;
  /** Name and incarnation. */
  readonly name: () => string;
  readonly options: TierOptions;
  readonly block_size: () => number;
  /** 0: not known yet. */
  readonly block_bytes: () => number;
  readonly opened: () => void;
  readonly closed: () => void;
};

export type OpenSpace = {
  readonly keeper: Ref<KvKeeperMessage>;
  readonly number: number;
  readonly block_bytes: number;
  readonly slots: number;
  /** Where a slot lies in this process's memory. */
  readonly addressOf: (slot: number) => number;
};

/** Longer than this no request waits for the keeper. */
export const ANSWER_MS = 250;
const FIRST_PAUSE_MS = 100;
const PAUSE_MOST_MS = 5_000;
const RESEND_MS = 5;

type Asked = "open_kv_space" | "reserve_kv" | "find_kv";
type Question<K extends Asked> = KvKeeperMessage & { readonly kind: K };

export class KeeperLink {
  readonly #host: LinkHost;
  #identity: Omit<KvIdentity, "block_bytes"> | undefined;
  #space: OpenSpace | undefined;
  #mapped: MappedSegment | undefined;
  #monitor = -1;
  /** Moves that use the mapped memory. */
  #uses = 0;
  #opening = false;
  #waiting = false;
  #pause_ms = FIRST_PAUSE_MS;
  #unsent: KvKeeperMessage[] = [];
  #record: Pick<WorkerRecord, "keeper" | "kv_identity"> = {};

  constructor(host: LinkHost) {
    this.#host = host;
  }

  get space(): OpenSpace | undefined {
    return this.#space;
  }

  /** As in WorkerRecord; nothing before the first space is open. */
  record(): Pick<WorkerRecord, "keeper" | "kv_identity"> {
    return this.#record;
  }

  /** Once the worker's engine is there. */
  async start(): Promise<void> {
    const identity = await this.#host.options.identity();
    this.#identity = { ...identity, block_size: this.#host.block_size() };
    this.open();
  }

  /** Opens a space, unless there is one or it is not time yet. */
  open(): void {
    const { ctx, options, block_bytes } = this.#host;
    const busy = this.#space !== undefined || this.#opening || this.#waiting || this.#uses > 0;
    if (busy || this.#identity === undefined) return;
    const keeper = options.keeper();
    if (keeper === undefined) {
      this.#openLater();
      return;
    }
    this.#opening = true;
    const { system, self } = ctx();
    const message = {
      kind: "open_kv_space",
      worker: wireOf(system, self),
      identity: { ...this.#identity, block_bytes: block_bytes() },
      name: this.#host.name(),
      pid: options.pid,
      // Where many workers share a process, routers would hear the same of each.
      follows: options.pid !== 0,
    } as const;
    this.#send(
      keeper,
      message,
      (space) => {
        this.#opening = false;
        this.#took(keeper, space);
      },
      () => {
        this.#opening = false;
        this.#openLater();
      },
    );
  }

  onTimer({ kind }: LinkTimer): void {
    if (kind === "kv_resend") this.#resend();
    else {
      this.#waiting = false;
      this.open();
    }
  }

  /** True: the monitor was ours. */
  keeperGone(monitor: number): boolean {
    if (monitor !== this.#monitor) return false;
    this.close();
    return true;
  }

  /** Asks the keeper of the open space. When it does not answer, the space is closed first. */
  ask<K extends Asked>(
    message: Question<K>,
    took: (answer: ReplyTo<KvKeeperMessage, K>) => void,
    failed: () => void,
  ): void {
    const space = this.#space;
    if (space === undefined) {
      failed();
      return;
    }
    const isOver = () => this.#space !== space;
    this.#send(
      space.keeper,
      message,
      (answer) => (isOver() ? failed() : took(answer)),
      (error) => {
        if (!isOver()) {
          this.#host.ctx().log.log("warn", "the keeper of blocks does not answer", {
            why: error.message,
          });
          this.close();
        }
        failed();
      },
    );
  }

  /** Tells the keeper of the open space; what its mailbox refuses is told again. */
  tell(message: KvKeeperMessage): void {
    if (this.#space === undefined) return;
    if (this.#unsent.length > 0 || !this.#space.keeper.tell(message)) this.#unsentAdd(message);
  }

  /** A move begins to use the memory; it ends with `unuse`. */
  use(): void {
    this.#uses += 1;
  }

  unuse(): void {
    this.#uses -= 1;
    if (this.#uses === 0 && this.#space === undefined) this.#unmap();
  }

  /** What this worker has there is void. */
  close(): void {
    if (this.#space === undefined) return;
    this.#space = undefined;
    this.#unsent = [];
    this.#host.ctx().demonitor(this.#monitor);
    this.#monitor = -1;
    if (this.#uses === 0) this.#unmap();
    this.#openLater();
    this.#host.closed();
  }

  /** The worker ends, and its engine does nothing any more. */
  end(): void {
    this.#waiting = true;
    this.#space = undefined;
    this.#mapped?.close();
    this.#mapped = undefined;
  }

  inspect() {
    const { keeper, kv_identity: identity } = this.#record;
    return {
      open: this.#space !== undefined,
      slots: this.#space?.slots ?? 0,
      block_bytes: this.#space?.block_bytes ?? 0,
      uses: this.#uses,
      keeper: keeper?.node ?? "",
      identity: identity ?? "",
    };
  }

  #took(keeper: Ref<KvKeeperMessage>, said: KvSpace): void {
    const { space: number, segment, segment_bytes, slots, slot_bytes, base, block_bytes } = said;
    this.#record = {
      keeper: wireOf(this.#host.ctx().system, keeper),
      kv_identity: this.#identity === undefined ? "" : identityText(this.#identity),
    };
    const mapped = number === 0 ? undefined : this.#host.options.map(segment, segment_bytes);
    if (mapped === undefined) {
      // Of a cold engine nobody knows how large its blocks are.
      this.#openLater();
      return;
    }
    this.#mapped = mapped;
    this.#monitor = this.#host.ctx().monitor(keeper as Ref<Message>);
    this.#pause_ms = FIRST_PAUSE_MS;
    const addressOf = (slot: number) => mapped.address + base + slot * slot_bytes;
    this.#space = { keeper, number, block_bytes, slots, addressOf };
    this.#host.opened();
  }

  #openLater(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#host.ctx().after(this.#pause_ms, { kind: "kv_open" });
    this.#pause_ms = Math.min(PAUSE_MOST_MS, this.#pause_ms * 2);
  }

  #unmap(): void {
    this.#mapped?.close();
    this.#mapped = undefined;
    this.open();
  }

  #unsentAdd(message: KvKeeperMessage): void {
    this.#unsent.push(message);
    if (this.#unsent.length === 1) this.#host.ctx().after(RESEND_MS, { kind: "kv_resend" });
  }

  #resend(): void {
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const message of unsent) this.tell(message);
  }

  #send<K extends Asked>(
    keeper: Ref<KvKeeperMessage>,
    message: Question<K>,
    took: (answer: ReplyTo<KvKeeperMessage, K>) => void,
    failed: (error: AskError) => void,
  ): void {
    this.#host.ctx().askThen(keeper, message, { deadline_ms: ANSWER_MS }, took, failed);
  }
}
