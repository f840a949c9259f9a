import type { GgufHeader, GgufScalarType, GgufValue } from "../../../llm/model/gguf.ts";

/** Writes GGUF files, so that tests need none from elsewhere. */

const TYPE_NUMBERS: Record<GgufScalarType | "array", number> = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

export type WriteValue =
  | { readonly type: "u32" | "i32" | "f32" | "u64"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "f32s" | "i32s"; readonly value: readonly number[] }
  /** An array as it was read, element for element. */
  | { readonly type: "raw"; readonly value: Extract<GgufValue, { kind: "array" }> };

export type WriteTensor = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly data: Uint8Array;
};

const ALIGNMENT = 32;
const utf8 = new TextEncoder();

class Writer {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #reserve(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.length);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  f32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value, true);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  string(text: string): void {
    const bytes = utf8.encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  pad(): void {
    this.#reserve((ALIGNMENT - (this.length % ALIGNMENT)) % ALIGNMENT);
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}

function writeValue(out: Writer, entry: WriteValue): void {
  switch (entry.type) {
    case "u32":
    case "i32":
      out.u32(TYPE_NUMBERS[entry.type]);
      out.u32(entry.value);
      break;
    case "u64":
      out.u32(TYPE_NUMBERS.u64);
      out.u64(entry.value);
      break;
    case "f32":
      out.u32(TYPE_NUMBERS.f32);
      out.f32(entry.value);
      break;
    case "bool":
      out.u32(TYPE_NUMBERS.bool);
      out.raw(Uint8Array.of(entry.value ? 1 : 0));
      break;
    case "string":
      out.u32(TYPE_NUMBERS.string);
      out.string(entry.value);
      break;
    case "strings":
      writeArrayHead(out, "string", entry.value.length);
      for (const text of entry.value) out.string(text);
      break;
    case "f32s":
      writeArrayHead(out, "f32", entry.value.length);
      for (const value of entry.value) out.f32(value);
      break;
    case "i32s":
      writeArrayHead(out, "i32", entry.value.length);
      for (const value of entry.value) out.u32(value);
      break;
    case "raw":
      writeArrayHead(out, entry.value.type, entry.value.count);
      out.raw(entry.value.bytes);
      break;
  }
}

function writeArrayHead(out: Writer, type: GgufScalarType, count: number): void {
  out.u32(TYPE_NUMBERS.array);
  out.u32(TYPE_NUMBERS[type]);
  out.u64(count);
}

export function writeGguf(
  metadata: Readonly<Record<string, WriteValue>>,
  tensors: readonly WriteTensor[] = [],
  version = 3,
): Uint8Array {
  const out = new Writer();
  out.raw(utf8.encode("GGUF"));
  out.u32(version);
  out.u64(tensors.length);
  out.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.string(tensor.name);
    out.u32(tensor.shape.length);
    for (const extent of tensor.shape) out.u64(extent);
    out.u32(tensor.type);
    out.u64(offset);
    offset += Math.ceil(tensor.data.length / ALIGNMENT) * ALIGNMENT;
  }
  for (const tensor of tensors) {
    out.pad();
    out.raw(tensor.data);
  }
  return out.done();
}

/** The same model with other metadata; `undefined` takes a key out. */
export function rewriteGguf(
  file: Uint8Array,
  header: GgufHeader,
  changes: Readonly<Record<string, WriteValue | undefined>>,
): Uint8Array {
  const metadata: Record<string, WriteValue> = {};
  for (const [key, value] of header.metadata) {
    if (typeof value === "object") metadata[key] = { type: "raw", value };
    else if (typeof value === "string") metadata[key] = { type: "string", value };
    else if (typeof value === "boolean") metadata[key] = { type: "bool", value };
    else metadata[key] = { type: Number.isInteger(value) ? "u32" : "f32", value };
  }
  for (const key of ["llama.rope.freq_base"]) {
    const value = header.metadata.get(key);
    if (typeof value === "number") metadata[key] = { type: "f32", value };
  }
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) delete metadata[key];
    else metadata[key] = value;
  }
  const tensors = header.tensors.map(({ name, shape, type, offset, size_bytes }) => {
    const data = file.subarray(offset, offset + (size_bytes ?? 0));
    return { name, shape, type, data };
  });
  return writeGguf(metadata, tensors, header.version);
}
