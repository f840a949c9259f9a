/**
 * Reads the header of a GGUF file (versions 2 and 3): metadata, tensor descriptions, extents.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * Pure: the caller hands in the first bytes of the file and is told when more are needed.
 * Arrays stay undecoded views, so a vocabulary of 262,144 strings costs one walk over its lengths.
 *
 * Long because the tables of types and blocks, the reader and the typed look-ups are one format.
 */

export type GgufErrorCode =
  | "gguf_not_gguf"
  | "gguf_unsupported_version"
  | "gguf_big_endian"
  | "gguf_truncated"
  | "gguf_corrupt";

/** The file cannot be used; `message` is one line that says what to do. */
export class GgufError extends Error {
  readonly code: GgufErrorCode;
  constructor(code: GgufErrorCode, message: string) {
    super(message);
    this.name = "GgufError";
    this.code = code;
  }
}

export type GgufScalarType =
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "u32"
  | "i32"
  | "f32"
  | "bool"
  | "string"
  | "u64"
  | "i64"
  | "f64";

/** Elements lie undecoded in `bytes`; read them with `ggufNumbers` or `ggufStringSpans`. */
export type GgufArray = {
  readonly kind: "array";
  readonly type: GgufScalarType;
  readonly count: number;
  readonly bytes: Uint8Array;
};

/** 64-bit integers come as numbers; those beyond 2^53 lose their low bits (none is an id). */
export type GgufValue = number | boolean | string | GgufArray;

export type GgufTensor = {
  readonly name: string;
  readonly shape: readonly number[];
  /** ggml's type number. */
  readonly type: number;
  /** From the start of the file. */
  readonly offset: number;
  /** undefined when this reader does not know the type's block size. */
  readonly size_bytes: number | undefined;
};

export type GgufHeader = {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** Where tensor data starts, from the start of the file. */
  readonly data_offset: number;
  /** The least size a complete file has, as far as tensor types are known. */
  readonly min_file_bytes: number;
};

export type GgufParse =
  | { readonly kind: "header"; readonly header: GgufHeader }
  /** Call again with at least the first `bytes` bytes of the file. */
  | { readonly kind: "need"; readonly bytes: number }
  | { readonly kind: "error"; readonly error: GgufError };

const TYPES: readonly (GgufScalarType | "array")[] = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
];

const SIZE_BYTES: Record<GgufScalarType, number> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8, // at least its length
  u64: 8,
  i64: 8,
  f64: 8,
};

/** ggml type → [elements per block, bytes per block], from ggml's type traits. */
const TENSOR_BLOCKS: Record<number, readonly [elements: number, bytes: number]> = {
  0: [1, 4], // F32
  1: [1, 2], // F16
  2: [32, 18], // Q4_0
  3: [32, 20], // Q4_1
  6: [32, 22], // Q5_0
  7: [32, 24], // Q5_1
  8: [32, 34], // Q8_0
  9: [32, 36], // Q8_1
  10: [256, 84], // Q2_K
  11: [256, 110], // Q3_K
  12: [256, 144], // Q4_K
  13: [256, 176], // Q5_K
  14: [256, 210], // Q6_K
  15: [256, 292], // Q8_K
  16: [256, 66], // IQ2_XXS
  17: [256, 74], // IQ2_XS
  18: [256, 98], // IQ3_XXS
  19: [256, 50], // IQ1_S
  20: [32, 18], // IQ4_NL
  21: [256, 110], // IQ3_S
  22: [256, 82], // IQ2_S
  23: [256, 136], // IQ4_XS
  24: [1, 1], // I8
  25: [1, 2], // I16
  26: [1, 4], // I32
  27: [1, 8], // I64
  28: [1, 8], // F64
  29: [256, 56], // IQ1_M
  30: [1, 2], // BF16
  34: [256, 54], // TQ1_0
  35: [256, 66], // TQ2_0
  39: [32, 17], // MXFP4
};

const MAX_ENTRIES = 1 << 20; // of metadata, and of tensors: far above any real model
const MAX_HEADER_BYTES = 1 << 30;
const MAX_KEY_BYTES = 65_535;
const MAX_DIMENSIONS = 4;
const DOWNLOAD_AGAIN = "download it again (delete the cached copy first)";

/** Thrown inside the reader when the handed-in prefix ends too early. */
class NeedMore {
  constructor(readonly bytes: number) {}
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

class Reader {
  offset = 0;
  readonly #view: DataView;
  readonly #file_bytes: number | undefined;

  constructor(
    readonly bytes: Uint8Array,
    file_bytes: number | undefined,
  ) {
    this.#file_bytes = file_bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Makes sure that `count` bytes lie ahead; says which part of the file lacks them if not. */
  want(count: number, what: string): void {
    const end = this.offset + count;
    if (end <= this.bytes.length) return;
    if (this.#file_bytes !== undefined && end > this.#file_bytes) {
      const cut = `the file ends inside its ${what} (${this.#file_bytes} bytes)`;
      throw new GgufError("gguf_truncated", `${cut}: ${DOWNLOAD_AGAIN}`);
    }
    if (end > MAX_HEADER_BYTES) {
      const message = `its header claims more than ${MAX_HEADER_BYTES} bytes: ${DOWNLOAD_AGAIN}`;
      throw new GgufError("gguf_corrupt", message);
    }
    const ahead = Math.max(end, 2 * this.bytes.length, 1 << 16);
    throw new NeedMore(this.#file_bytes === undefined ? ahead : Math.min(ahead, this.#file_bytes));
  }

  u32(what: string): number {
    this.want(4, what);
    const value = this.#view.getUint32(this.offset, true);
    this.offset += 4;
    return value;
  }

  u64(what: string): number {
    this.want(8, what);
    const low = this.#view.getUint32(this.offset, true);
    const high = this.#view.getUint32(this.offset + 4, true);
    this.offset += 8;
    return high * 2 ** 32 + low;
  }

  string(what: string, max_bytes = MAX_HEADER_BYTES): string {
    const length = this.u64(what);
    if (length > max_bytes) throw corrupt(`a ${what} claims ${length} bytes`);
    this.want(length, what);
    const text = utf8.decode(this.bytes.subarray(this.offset, this.offset + length));
    this.offset += length;
    return text;
  }

  scalar(type: GgufScalarType, key: string): number | boolean | string {
    if (type === "string") return this.string(`value of ${key}`);
    this.want(SIZE_BYTES[type], `value of ${key}`);
    const value = readNumber(this.#view, this.offset, type);
    this.offset += SIZE_BYTES[type];
    return type === "bool" ? value !== 0 : value;
  }

  array(key: string): GgufArray {
    const what = `array ${key}`;
    const number = this.u32(what);
    const type = TYPES[number];
    if (type === undefined) throw corrupt(`${what} has the unknown element type ${number}`);
    if (type === "array") throw corrupt(`${what} is an array of arrays, which no model has`);
    const count = this.u64(what);
    const least = count * SIZE_BYTES[type];
    if (least > MAX_HEADER_BYTES) throw corrupt(`${what} claims ${count} elements`);
    this.want(least, what);
    const start = this.offset;
    if (type === "string") this.#skipStrings(count, what);
    else this.offset += least;
    return { kind: "array", type, count, bytes: this.bytes.subarray(start, this.offset) };
  }

  #skipStrings(count: number, what: string): void {
    const { bytes } = this;
    const view = this.#view;
    let at = this.offset;
    for (let i = 0; i < count; i++) {
      // The last string's length needs 8 bytes ahead, its text as many as that says.
      if (at + 8 <= bytes.length) {
        const length = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
        if (at + 8 + length <= bytes.length) {
          at += 8 + length;
          continue;
        }
      }
      this.offset = at;
      const length = this.u64(what);
      if (length > MAX_HEADER_BYTES) throw corrupt(`${what} holds a string of ${length} bytes`);
      this.want(length, what);
      at = this.offset + length;
    }
    this.offset = at;
  }
}

/**
 * Parses the header out of the first bytes of a file. `file_bytes`, when known, lets a cut file be
 * told from a short prefix and bounds every count; without it a cut file asks for more for ever.
 */
export function parseGguf(prefix: Uint8Array, file_bytes?: number): GgufParse {
  try {
    const header = readHeader(new Reader(prefix, file_bytes));
    if (file_bytes !== undefined && header.min_file_bytes > file_bytes) {
      const sizes = `${file_bytes} bytes of at least ${header.min_file_bytes}`;
      const message = `the file is cut short (${sizes}): ${DOWNLOAD_AGAIN}`;
      return { kind: "error", error: new GgufError("gguf_truncated", message) };
    }
    return { kind: "header", header };
  } catch (thrown) {
    if (thrown instanceof NeedMore) return { kind: "need", bytes: thrown.bytes };
    if (thrown instanceof GgufError) return { kind: "error", error: thrown };
    throw thrown;
  }
}

function readHeader(reader: Reader): GgufHeader {
  const magic = reader.u32("magic number");
  if (magic !== 0x46554747) {
    const message = "this is not a GGUF file: give the path of a .gguf model";
    throw new GgufError("gguf_not_gguf", message);
  }
  const version = reader.u32("version");
  if (version !== 2 && version !== 3) throw unsupportedVersion(version);
  const tensor_count = reader.u64("tensor count");
  const entry_count = reader.u64("metadata count");
  if (tensor_count > MAX_ENTRIES) throw corrupt(`it claims ${tensor_count} tensors`);
  if (entry_count > MAX_ENTRIES) throw corrupt(`it claims ${entry_count} metadata entries`);
  const metadata = readMetadata(reader, entry_count);
  const alignment = ggufNumber(metadata, "general.alignment") ?? 32;
  if (!(alignment >= 8 && alignment <= 65_536) || !isPowerOfTwo(alignment)) {
    throw corrupt(`its alignment is ${alignment}`);
  }
  const described = readTensors(reader, tensor_count);
  const data_offset = Math.ceil(reader.offset / alignment) * alignment;
  let min_file_bytes = tensor_count === 0 ? reader.offset : data_offset;
  const tensors = described.map((tensor) => {
    if (tensor.offset % alignment !== 0) throw corrupt(`tensor ${tensor.name} is not aligned`);
    const offset = data_offset + tensor.offset;
    const end = offset + (tensor.size_bytes ?? 0);
    if (!Number.isSafeInteger(end)) throw corrupt(`tensor ${tensor.name} lies at ${offset}`);
    min_file_bytes = Math.max(min_file_bytes, end);
    return { ...tensor, offset };
  });
  return { version, metadata, tensors, data_offset, min_file_bytes };
}

const isPowerOfTwo = (value: number) => Number.isInteger(value) && (value & (value - 1)) === 0;

function readMetadata(reader: Reader, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = reader.string("metadata key", MAX_KEY_BYTES);
    const number = reader.u32(`type of ${key}`);
    const type = TYPES[number];
    if (type === undefined) throw corrupt(`${key} has the unknown type ${number}`);
    if (metadata.has(key)) throw corrupt(`the key ${key} stands in it twice`);
    metadata.set(key, type === "array" ? reader.array(key) : reader.scalar(type, key));
  }
  return metadata;
}

function readTensors(reader: Reader, count: number): GgufTensor[] {
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.string("tensor name", MAX_KEY_BYTES);
    const dimensions = reader.u32(`shape of ${name}`);
    if (dimensions > MAX_DIMENSIONS) throw corrupt(`tensor ${name} has ${dimensions} dimensions`);
    const shape: number[] = [];
    for (let d = 0; d < dimensions; d++) shape.push(reader.u64(`shape of ${name}`));
    const type = reader.u32(`type of ${name}`);
    const offset = reader.u64(`offset of ${name}`);
    const elements = shape.reduce((product, extent) => product * extent, 1);
    if (!Number.isSafeInteger(elements)) throw corrupt(`tensor ${name} has ${elements} elements`);
    const block = TENSOR_BLOCKS[type];
    if (block !== undefined && (shape[0] ?? 1) % block[0] !== 0) {
      throw corrupt(`tensor ${name} has rows that are no whole number of blocks`);
    }
    const size_bytes = block === undefined ? undefined : (elements / block[0]) * block[1];
    tensors.push({ name, shape, type, offset, size_bytes });
  }
  return tensors;
}

function unsupportedVersion(version: number): GgufError {
  if (version === 0x02000000 || version === 0x03000000) {
    const message = "this GGUF file is big-endian: get the little-endian one";
    return new GgufError("gguf_big_endian", message);
  }
  const message = `GGUF version ${version} is not supported: get the model as version 2 or 3`;
  return new GgufError("gguf_unsupported_version", message);
}

function corrupt(what: string): GgufError {
  return new GgufError("gguf_corrupt", `the GGUF file is corrupt, ${what}: ${DOWNLOAD_AGAIN}`);
}

function readNumber(view: DataView, at: number, type: GgufScalarType): number {
  switch (type) {
    case "u8":
    case "bool":
      return view.getUint8(at);
    case "i8":
      return view.getInt8(at);
    case "u16":
      return view.getUint16(at, true);
    case "i16":
      return view.getInt16(at, true);
    case "u32":
      return view.getUint32(at, true);
    case "i32":
      return view.getInt32(at, true);
    case "f32":
      return view.getFloat32(at, true);
    case "f64":
      return view.getFloat64(at, true);
    case "u64":
      return Number(view.getBigUint64(at, true));
    case "i64":
      return Number(view.getBigInt64(at, true));
    case "string":
      throw new RangeError("a string is not a number");
  }
}

/** The numbers of an array of any numeric type; undefined for strings. */
export function ggufNumbers(array: GgufArray): Float64Array | undefined {
  if (array.type === "string") return undefined;
  const view = new DataView(array.bytes.buffer, array.bytes.byteOffset, array.bytes.byteLength);
  const size = SIZE_BYTES[array.type];
  const out = new Float64Array(array.count);
  for (let i = 0; i < array.count; i++) out[i] = readNumber(view, i * size, array.type);
  return out;
}

/** Where each string of a string array lies in `array.bytes`: [start, end) by two entries each. */
export function ggufStringSpans(array: GgufArray): Uint32Array | undefined {
  if (array.type !== "string") return undefined;
  const view = new DataView(array.bytes.buffer, array.bytes.byteOffset, array.bytes.byteLength);
  const spans = new Uint32Array(2 * array.count);
  let at = 0;
  for (let i = 0; i < array.count; i++) {
    const start = at + 8;
    at = start + view.getUint32(at, true);
    spans[2 * i] = start;
    spans[2 * i + 1] = at;
  }
  return spans;
}

type Metadata = ReadonlyMap<string, GgufValue>;

export function ggufNumber(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key);
  return typeof value === "number" ? value : undefined;
}

export function ggufString(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key);
  return typeof value === "string" ? value : undefined;
}

export function ggufBoolean(metadata: Metadata, key: string): boolean | undefined {
  const value = metadata.get(key);
  return typeof value === "boolean" ? value : undefined;
}

export function ggufArray(metadata: Metadata, key: string): GgufArray | undefined {
  const value = metadata.get(key);
  return typeof value === "object" ? value : undefined;
}
