/** Memory of this process by its address. */
import { type Pointer, toArrayBuffer } from "bun:ffi";

/** A view, not a copy: whoever owns the memory keeps it while the view is used. */
export const bytesAt = (address: number, size: number): Uint8Array =>
  new Uint8Array(toArrayBuffer(address as Pointer, 0, size));
