/** Blocks of the native prefix cache out and in: tr_blocks_out, tr_blocks_in of native/troupe.h. */
import { type NativeEngine, TR } from "../../../native/index.ts";
import type { BlockMove, BlockPort, BlocksIn, BlockTarget } from "../block-port.ts";
import type { EngineRefusal } from "../engine-refusal.ts";
import type { LlamaKvEvents } from "./kv-events.ts";
import { saltOf } from "./request.ts";

/** No block: the native side says that it is gone. */
const NOWHERE = { block: 0xffff_ffff, serial: 0 };

/** What is asked of the engine that the blocks are of. */
type Host = {
  block_bytes(): number;
  isClosed(): boolean;
  refusal(code: number, tokens: number): EngineRefusal;
};

export class LlamaBlockPort implements BlockPort {
  readonly most = TR.MAX_MOVED;
  readonly #native: NativeEngine;
  readonly #kv: LlamaKvEvents;
  readonly #host: Host;
  #listener: (handle: number, blocks: readonly BlockMove[]) => void = () => {};

  constructor(native: NativeEngine, kv: LlamaKvEvents, host: Host) {
    this.#native = native;
    this.#kv = kv;
    this.#host = host;
  }

  bytes(): number {
    return this.#host.block_bytes();
  }

  out(handle: number, blocks: readonly BlockTarget[], bytes: number): EngineRefusal | undefined {
    const places = blocks.map(({ hash }) => this.#kv.place(hash) ?? NOWHERE);
    const addresses = BigUint64Array.from(blocks, ({ address }) => BigInt(address));
    const numbers = Uint32Array.from(places, ({ block }) => block);
    const serials = Uint32Array.from(places, ({ serial }) => serial);
    if (this.#host.isClosed()) return this.#host.refusal(TR.ERR_CLOSED, 0);
    return this.#said(this.#native.blocksOut(handle, numbers, serials, addresses, bytes), 0);
  }

  in(handle: number, into: BlocksIn, bytes: number): EngineRefusal | undefined {
    const { tokens, first, addresses } = into;
    if (this.#host.isClosed()) return this.#host.refusal(TR.ERR_CLOSED, tokens.length);
    const from = BigUint64Array.from(addresses, BigInt);
    const code = this.#native.blocksIn(handle, tokens, first, saltOf(into), from, bytes);
    return this.#said(code, tokens.length);
  }

  onMoved(listener: (handle: number, blocks: readonly BlockMove[]) => void): void {
    this.#listener = listener;
  }

  moved(handle: number, blocks: readonly BlockMove[]): void {
    this.#listener(handle, blocks);
  }

  #said(code: number, tokens: number): EngineRefusal | undefined {
    return code === 0 ? undefined : this.#host.refusal(code, tokens);
  }
}
