/**
 * NumPy's `.npz`: a zip of `.npy` arrays. Reads stored and deflated members of numbers, which is
 * what `numpy.savez` and `savez_compressed` write; nothing else of either format.
 * Sources: PKWARE APPNOTE 6.3.10 §4.3; NumPy Enhancement Proposal 1 (numpy.lib.format).
 */

export type NumberArray = {
  readonly shape: readonly number[];
  /** Row by row (C order), whatever order the file had. */
  readonly values: Float64Array;
};

export class NpzError extends Error {
  readonly code = "bad_npz";
}

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;
/** Profiles are a few kilobytes; a member that says it holds more than this is refused. */
const MEMBER_BYTES_MAX = 64 << 20;

const latin1 = new TextDecoder("latin1");

/** Arrays by name, without `.npy`. Throws NpzError that says what is wrong. */
export function readNpz(bytes: Uint8Array): ReadonlyMap<string, NumberArray> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const arrays = new Map<string, NumberArray>();
    for (const [name, member] of zipMembers(bytes, view)) {
      if (name.endsWith(".npy")) arrays.set(name.slice(0, -4), readNpy(name, member));
    }
    return arrays;
  } catch (error) {
    if (error instanceof NpzError) throw error;
    // A DataView beyond its end, or deflate data that is none.
    throw new NpzError(`the archive is cut short or damaged (${String(error)})`);
  }
}

function* zipMembers(bytes: Uint8Array, view: DataView): Iterable<[string, Uint8Array]> {
  // The end record is the last thing but for a comment of at most 64 KiB.
  let end = bytes.length - 22;
  const lowest = Math.max(0, end - 0xffff);
  while (end >= lowest && view.getUint32(end, true) !== END_OF_DIRECTORY) end--;
  if (end < lowest) throw new NpzError("this is no npz archive: it has no zip directory");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) throw new NpzError("bad zip directory");
    const method = view.getUint16(at + 10, true);
    const packed_bytes = view.getUint32(at + 20, true);
    const unpacked_bytes = view.getUint32(at + 24, true);
    const name_bytes = view.getUint16(at + 28, true);
    const extra_bytes = view.getUint16(at + 30, true);
    const comment_bytes = view.getUint16(at + 32, true);
    const local = view.getUint32(at + 42, true);
    const name = latin1.decode(bytes.subarray(at + 46, at + 46 + name_bytes));
    if (unpacked_bytes > MEMBER_BYTES_MAX) throw new NpzError(`${name} is too large`);
    if (view.getUint32(local, true) !== LOCAL_ENTRY) throw new NpzError(`${name} is not there`);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const packed = bytes.subarray(start, start + packed_bytes);
    yield [name, unpacked(name, method, packed, unpacked_bytes)];
    at += 46 + name_bytes + extra_bytes + comment_bytes;
  }
}

function unpacked(name: string, method: number, packed: Uint8Array, size: number): Uint8Array {
  if (method !== STORED && method !== DEFLATED) {
    throw new NpzError(`${name} is packed by method ${method}: save it with numpy.savez`);
  }
  // A copy, since Bun wants memory of its own kind.
  const member = method === STORED ? packed : Bun.inflateSync(new Uint8Array(packed));
  if (member.length !== size) throw new NpzError(`${name} has not the length that it should`);
  return member;
}

function readNpy(name: string, bytes: Uint8Array): NumberArray {
  if (latin1.decode(bytes.subarray(1, 6)) !== "NUMPY") throw new NpzError(`${name} is no array`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes[6]! >= 2;
  const header_bytes = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (wide ? 12 : 10) + header_bytes;
  const header = latin1.decode(bytes.subarray(wide ? 12 : 10, start));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "a structure";
  const shape = [...(/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "").matchAll(/\d+/g)].map(
    Number,
  );
  const read = readers[type];
  if (read === undefined) throw new NpzError(`${name} holds ${type}: only numbers can be read`);
  const count = shape.reduce((product, length) => product * length, 1);
  const size = Number(type.slice(2));
  if (start + count * size > bytes.length) throw new NpzError(`${name} is cut short`);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = read(view, start + i * size);
  const columns_first = /'fortran_order':\s*True/.test(header) && shape.length === 2;
  return { shape, values: columns_first ? transposed(values, shape[0]!, shape[1]!) : values };
}

const readers: Readonly<Record<string, (view: DataView, at: number) => number>> = {
  "<f8": (view, at) => view.getFloat64(at, true),
  "<f4": (view, at) => view.getFloat32(at, true),
  "<i8": (view, at) => Number(view.getBigInt64(at, true)),
  "<i4": (view, at) => view.getInt32(at, true),
  "<u8": (view, at) => Number(view.getBigUint64(at, true)),
  "<u4": (view, at) => view.getUint32(at, true),
};

function transposed(columns: Float64Array, rows: number, width: number): Float64Array {
  return columns.map((_, i) => columns[(i % width) * rows + Math.floor(i / width)]!);
}
