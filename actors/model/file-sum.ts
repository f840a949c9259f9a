/**
 * The sha256 of a model's file, which is read once: the sum is kept in the cache folder until the
 * file is another.
 */
import type { ModelWorld } from "./model-world.ts";

/** Read at a time, so that whoever else has work in this process gets its turn. */
const SLICE_BYTES = 1024 * 1024;

type World = Pick<ModelWorld, "files" | "cache_dir" | "spawn">;

/** Of a model in parts, named by its first one, the sum of their sums. Hex. Rejects as `fileSum`. */
export async function modelSum(world: World, path: string): Promise<string> {
  const count = Number(/-00001-of-(\d{5})\.gguf$/.exec(path)?.[1] ?? 1);
  if (count <= 1) return await fileSum(world, path);
  const whole = new Bun.CryptoHasher("sha256");
  for (let part = 1; part <= count; part += 1) {
    const number = `${part}`.padStart(5, "0");
    whole.update(await fileSum(world, path.replace("-00001-of-", `-${number}-of-`)));
  }
  return whole.digest("hex");
}

/** Hex. Rejects when the file cannot be read. */
async function fileSum({ files, cache_dir, spawn }: World, path: string): Promise<string> {
  const stamp = await files.stamp(path);
  const name = new Bun.CryptoHasher("sha256").update(path).digest("hex");
  const kept_at = `${cache_dir}/sums/${name}`;
  const kept = await files.read(kept_at).catch(() => undefined);
  const [kept_stamp, kept_sum] = new TextDecoder().decode(kept).split("\n");
  if (kept_stamp === stamp && kept_sum !== undefined) return kept_sum;
  const hasher = new Bun.CryptoHasher("sha256");
  for (let at = 0; ; at += SLICE_BYTES) {
    const slice = await files.read(path, at, SLICE_BYTES);
    hasher.update(slice);
    if (slice.length < SLICE_BYTES) break;
  }
  const sum = hasher.digest("hex");
  try {
    const partial = `${kept_at}.${spawn.pid}.partial`;
    await files.makeFolder(`${cache_dir}/sums`);
    await files.write(partial, new TextEncoder().encode(`${stamp}\n${sum}`));
    await files.rename(partial, kept_at);
  } catch {
    // The next start reads the file again.
  }
  return sum;
}
