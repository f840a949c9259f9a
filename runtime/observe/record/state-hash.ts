/** A hash of plain data that is the same whenever the data is, in whatever order its keys stand. */

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
  const fields: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const each = (value as Record<string, unknown>)[key];
    if (each === undefined || typeof each === "function") continue;
    fields.push(`${JSON.stringify(key)}:${canonical(each)}`);
  }
  return `{${fields.join(",")}}`;
}

/** Sum over what was added, in order. */
export class Hash {
  #text = "";

  add(text: string): void {
    this.#text += text;
  }

  get word(): number {
    return Bun.hash.xxHash32(this.#text);
  }
}

export function hashOf(text: string): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, Bun.hash.xxHash64(text));
  return bytes;
}

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
