/**
 * A model that computes what another one does and takes longer: behind its own layers it has some
 * that add nothing, as all their numbers are zero. So a large model's cost is had where none is at
 * hand, with answers of a real one.
 */
import { type GgufTensor, parseGguf } from "../../../llm/model/gguf.ts";

const ALIGNMENT = 32;
const U32 = 4;
/** Of magic, version and the two counts. */
const COUNTS_AT = 8;

/** Writes the model of `path` with `more` layers more. Of tensor types that the reader knows. */
export async function writeDeeper(path: string, to: string, more: number): Promise<void> {
  const file = Buffer.from(await Bun.file(path).arrayBuffer());
  const parsed = parseGguf(file, file.length);
  if (parsed.kind !== "header") throw new Error(`${path} is no whole GGUF`);
  const { header } = parsed;
  const [first] = header.tensors;
  if (first === undefined) throw new Error(`${path} has no tensors`);
  const metadata = Buffer.from(file.subarray(0, file.indexOf(stringOf(first.name))));
  const layers = raiseLayers(metadata, String(header.metadata.get("general.architecture")), more);
  const of_layer = header.tensors.filter(({ name }) => name.startsWith("blk.0."));
  const added = Array.from({ length: more }, (_, i) =>
    of_layer.map((tensor) => ({
      tensor,
      name: tensor.name.replace("blk.0.", `blk.${layers + i}.`),
    })),
  ).flat();
  metadata.writeBigUInt64LE(BigInt(header.tensors.length + added.length), COUNTS_AT);
  const all = [...header.tensors.map((tensor) => ({ tensor, name: tensor.name })), ...added];
  const infos: Buffer[] = [metadata];
  let offset = 0;
  for (const { tensor, name } of all) {
    infos.push(infoOf(tensor, name, offset));
    offset += padded(sizeOf(tensor));
  }
  const head = Buffer.concat(infos);
  const sink = Bun.file(to).writer();
  sink.write(head);
  sink.write(new Uint8Array(padded(head.length) - head.length));
  for (const tensor of header.tensors) {
    const size = sizeOf(tensor);
    sink.write(file.subarray(tensor.offset, tensor.offset + size));
    sink.write(new Uint8Array(padded(size) - size));
  }
  for (const { tensor } of added) {
    sink.write(new Uint8Array(padded(sizeOf(tensor))));
    await sink.flush();
  }
  await sink.end();
}

const padded = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function sizeOf({ name, size_bytes }: GgufTensor): number {
  if (size_bytes === undefined) throw new Error(`the size of ${name} is not known`);
  return size_bytes;
}

function stringOf(text: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, Buffer.from(text)]);
}

/** Returns how many layers there were. */
function raiseLayers(metadata: Buffer, architecture: string, more: number): number {
  const key = stringOf(`${architecture}.block_count`);
  const at = metadata.indexOf(key) + key.length;
  if (metadata.readUInt32LE(at) !== U32) throw new Error("the number of layers is no u32");
  const layers = metadata.readUInt32LE(at + 4);
  metadata.writeUInt32LE(layers + more, at + 4);
  return layers;
}

function infoOf({ shape, type }: GgufTensor, name: string, offset: number): Buffer {
  const rest = Buffer.alloc(4 + 8 * shape.length + 4 + 8);
  rest.writeUInt32LE(shape.length);
  for (const [i, extent] of shape.entries()) rest.writeBigUInt64LE(BigInt(extent), 4 + 8 * i);
  rest.writeUInt32LE(type, 4 + 8 * shape.length);
  rest.writeBigUInt64LE(BigInt(offset), 8 + 8 * shape.length);
  return Buffer.concat([stringOf(name), rest]);
}
