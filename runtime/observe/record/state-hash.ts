/** A hash of plain data that is the same whenever the data is, in whatever order its keys stand. */

const OFFSET = 0xcbf29ce484222325n;
const PRIME_LOW = 0x1b3;

/** The text that is hashed: JSON with sorted keys, and numbers, bytes and maps beyond JSON. */
export function canonical(value: unknown): string {
  switch (typeof value) {
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "string":
      return JSON.stringify(value);
    case "object":
      return value === null ? "null" : canonicalObject(value);
    case "boolean":
      return String(value);
    default:
      return typeof value;
  }
}

function canonicalObject(value: object): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return `bytes ${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}`;
  }
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return canonical(toJSON.call(value));
  if (value instanceof Set) return `set${canonicalObject([...value])}`;
  if (value instanceof Map) return `map${canonicalObject([...value])}`;
  const fields = Object.entries(value)
    .filter(([, each]) => each !== undefined && typeof each !== "function")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`);
  return `{${fields.join(",")}}`;
}

/** FNV-1a of 64 bits over UTF-16 units, kept as two words. */
export class Hash {
  #high = Number(OFFSET >> 32n);
  #low = Number(OFFSET & 0xffffffffn);

  add(text: string): this {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
    return this;
  }

  mix(unit: number): void {
    // The prime is 2^40 + 0x1b3: a shift of the low word into the high one, and a small product.
    const low = (this.#low ^ unit) >>> 0;
    const product = low * PRIME_LOW;
    const carry = Math.floor(product / 2 ** 32);
    this.#high = (Math.imul(this.#high, PRIME_LOW) + carry + (low << 8)) >>> 0;
    this.#low = product >>> 0;
  }

  get word(): number {
    return this.#low;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.#high);
    view.setUint32(4, this.#low);
    return bytes;
  }
}

export const hashOf = (text: string): Uint8Array => new Hash().add(text).bytes();

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
