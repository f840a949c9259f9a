/** Sets of code points, as sorted ranges that do not touch; both ends belong to a range. */
export type CharSet = readonly (readonly [number, number])[];

export const LAST_CODE_POINT = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

export const ALL_CHARS: CharSet = [
  [0, 0xd7ff],
  [0xe000, LAST_CODE_POINT],
];

export function charSet(...ranges: readonly (readonly [number, number])[]): CharSet {
  const sorted = ranges.filter(([from, to]) => from <= to).sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

/** The characters of a text. */
export const charsOf = (text: string): CharSet =>
  charSet(
    ...[...text].map((char) => {
      const code = char.codePointAt(0) ?? 0;
      return [code, code] as const;
    }),
  );

export const union = (...sets: readonly CharSet[]): CharSet => charSet(...sets.flat());

/** Of all characters. */
export function complement(set: CharSet): CharSet {
  const ranges: [number, number][] = [];
  let from = 0;
  const gap = (to: number): void => {
    // Halves of surrogate pairs are no characters.
    if (from < FIRST_SURROGATE && to > LAST_SURROGATE) {
      ranges.push([from, FIRST_SURROGATE - 1], [LAST_SURROGATE + 1, to]);
    } else {
      const first = from >= FIRST_SURROGATE && from <= LAST_SURROGATE ? LAST_SURROGATE + 1 : from;
      const last = to >= FIRST_SURROGATE && to <= LAST_SURROGATE ? FIRST_SURROGATE - 1 : to;
      if (first <= last) ranges.push([first, last]);
    }
  };
  for (const [first, last] of set) {
    if (first > from) gap(first - 1);
    from = last + 1;
  }
  if (from <= LAST_CODE_POINT) gap(LAST_CODE_POINT);
  return ranges;
}

export function intersection(a: CharSet, b: CharSet): CharSet {
  const ranges: [number, number][] = [];
  for (let i = 0, k = 0; i < a.length && k < b.length; ) {
    const [from_a, to_a] = a[i]!;
    const [from_b, to_b] = b[k]!;
    const from = Math.max(from_a, from_b);
    const to = Math.min(to_a, to_b);
    if (from <= to) ranges.push([from, to]);
    if (to_a < to_b) i++;
    else k++;
  }
  return ranges;
}

export const without = (a: CharSet, b: CharSet): CharSet => intersection(a, complement(b));
