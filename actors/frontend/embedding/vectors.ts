/** Numbers as they come from a worker: little-endian 32-bit floats. Pure. */

/** A copy, as the bytes may lie anywhere. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

export const base64Of = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

/** The first `dimensions` values, or all; of unit length when `unit`. Zeros stay zeros. */
export function shortened(
  values: Float32Array,
  dimensions: number | undefined,
  unit: boolean,
): Float32Array {
  const first = dimensions === undefined ? values : values.subarray(0, dimensions);
  if (!unit) return first;
  let square = 0;
  for (const value of first) square += value * value;
  const length = Math.sqrt(square);
  return length === 0 ? first : first.map((value) => value / length);
}

/** Of vectors of equal length; 0 when one of them is zero. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, of_a, of_b] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i] ?? 0];
    dot += x * y;
    of_a += x * x;
    of_b += y * y;
  }
  const lengths = Math.sqrt(of_a * of_b);
  return lengths === 0 ? 0 : dot / lengths;
}

/** What a head says as probabilities: one class is true or false, of several one is. */
export function probabilities(logits: Float32Array): Float32Array {
  if (logits.length === 1) return logits.map((value) => 1 / (1 + Math.exp(-value)));
  const most = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/** JSON of numbers; what is none is null. */
export function floatsJson(values: Float32Array): string {
  const text = values.join(",");
  // Only NaN and Infinity have a capital letter.
  return `[${/[NI]/.test(text) ? text.replace(/-?(NaN|Infinity)/g, "null") : text}]`;
}
