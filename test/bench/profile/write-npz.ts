/**
 * NumPy's `.npz` as `numpy.savez` writes it: a zip whose members are stored, each a `.npy` array of
 * little-endian doubles. llm/profile/npz.ts reads it back.
 * Sources: PKWARE APPNOTE 6.3.10 §4.3; NumPy Enhancement Proposal 1 (numpy.lib.format).
 */

/** A row of numbers, or rows of one length. */
export type Numbers = readonly number[] | readonly (readonly number[])[];

const LOCAL_ENTRY = 0x04034b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
const ZIP_VERSION = 20;
/** 1 January 1980, the first day a zip can name: the same figures make the same bytes. */
const FIRST_DAY = 0x0021;
/** The head of an array is filled up to this, so that its numbers lie well in memory. */
const ALIGNED = 64;

const ascii = (text: string) => new TextEncoder().encode(text);

export function writeNpz(arrays: Readonly<Record<string, Numbers>>): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [name, numbers] of Object.entries(arrays)) {
    const file = ascii(`${name}.npy`);
    const member = writeNpy(numbers);
    const facts = entryFacts(member, file.length);
    const local = joined([words(LOCAL_ENTRY, 4), words(ZIP_VERSION, 2), facts, file, member]);
    directory.push(
      joined([
        words(DIRECTORY_ENTRY, 4),
        ...[words(ZIP_VERSION, 2), words(ZIP_VERSION, 2), facts],
        // No comment, disk 0, no attributes.
        ...[words(0, 2), words(0, 2), words(0, 2), words(0, 4), words(offset, 4), file],
      ]),
    );
    parts.push(local);
    offset += local.length;
  }
  const entries = joined(directory);
  const count = words(directory.length, 2);
  return joined([
    ...parts,
    entries,
    ...[words(END_OF_DIRECTORY, 4), words(0, 2), words(0, 2), count, count],
    ...[words(entries.length, 4), words(offset, 4), words(0, 2)],
  ]);
}

/** From the flags to the length of the extra field: the same in both of a member's records. */
function entryFacts(member: Uint8Array, name_bytes: number): Uint8Array {
  const [flags, stored, midnight, no_extra] = [0, 0, 0, 0];
  const size = words(member.length, 4);
  return joined([
    ...[words(flags, 2), words(stored, 2), words(midnight, 2), words(FIRST_DAY, 2)],
    ...[words(Bun.hash.crc32(member), 4), size, size, words(name_bytes, 2), words(no_extra, 2)],
  ]);
}

/** One array of format 1.0. Throws when rows differ in length. */
export function writeNpy(numbers: Numbers): Uint8Array {
  const shape = shapeOf(numbers);
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const fields = `{'descr': '<f8', 'fortran_order': False, 'shape': (${tuple}), }`;
  const magic_bytes = 10;
  const filled = Math.ceil((magic_bytes + fields.length + 1) / ALIGNED) * ALIGNED - magic_bytes;
  const values = new DataView(new ArrayBuffer(numbers.flat().length * 8));
  numbers.flat().forEach((value, i) => {
    values.setFloat64(i * 8, value, true);
  });
  return joined([
    Uint8Array.of(0x93),
    ascii("NUMPY"),
    Uint8Array.of(1, 0),
    words(filled, 2),
    ascii(`${fields.padEnd(filled - 1)}\n`),
    new Uint8Array(values.buffer),
  ]);
}

function shapeOf(numbers: Numbers): readonly number[] {
  const [first] = numbers;
  if (!Array.isArray(first)) return [numbers.length];
  if (numbers.some((row) => (row as readonly number[]).length !== first.length)) {
    throw new Error("the rows of an array must have one length");
  }
  return [numbers.length, first.length];
}

/** `value` in so many little-endian bytes. */
function words(value: number, bytes: 2 | 4): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 2) view.setUint16(0, value, true);
  else view.setUint32(0, value, true);
  return new Uint8Array(view.buffer);
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
