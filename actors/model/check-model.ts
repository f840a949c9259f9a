import { type GgufHeader, parseGguf } from "../../llm/model/gguf.ts";
import { errorText } from "../../runtime/error-text.ts";
import { ModelError } from "./model-error.ts";
import type { ModelWorld } from "./model-world.ts";

const FIRST_READ_BYTES = 8 << 20;
const EMPTY = new Uint8Array(0);

export type CheckedFile = {
  readonly kind: "file";
  readonly path: string;
  readonly size_bytes: number;
  readonly header: GgufHeader;
};

/**
 * Reads and checks the header of a model file before any engine sees it. Throws ModelError.
 * @param missing what a reader is told when there is no such file
 */
export async function checkModel(
  world: ModelWorld,
  path: string,
  missing = `there is no model file ${path}: check --model`,
): Promise<CheckedFile> {
  const size_bytes = await sizeOf(world, path, missing);
  let length = Math.min(FIRST_READ_BYTES, size_bytes);
  for (;;) {
    // Whoever opens an empty pipe waits for its writer, and an empty file has nothing to read.
    const prefix = length === 0 ? EMPTY : await world.files.read(path, 0, length);
    const parsed = parseGguf(prefix, size_bytes);
    if (parsed.kind === "header") {
      return { kind: "file", path, size_bytes, header: parsed.header };
    }
    if (parsed.kind === "error") {
      const code = parsed.error.code === "gguf_not_gguf" ? "model_unsupported" : "model_corrupt";
      throw new ModelError(code, `${path}: ${parsed.error.message}`);
    }
    if (prefix.length < length) {
      throw new ModelError("model_corrupt", `${path} became shorter while it was read: try again`);
    }
    length = parsed.bytes;
  }
}

async function sizeOf(world: ModelWorld, path: string, missing: string): Promise<number> {
  let size: number | undefined;
  try {
    size = await world.files.size_bytes(path);
  } catch (thrown) {
    const reason = errorText(thrown);
    throw new ModelError("model_not_found", `${path} cannot be read (${reason})`);
  }
  if (size === undefined) throw new ModelError("model_not_found", missing);
  return size;
}
