import { folderOf } from "./download.ts";
import { ModelError } from "./model-error.ts";
import { type ModelWorld, onDisk, sleep } from "./model-world.ts";

const BEAT_MS = 2_000;
const STALE_MS = 15_000;
const POLL_MS = 500;
const GIVE_UP_MS = 6 * 3_600_000;

/**
 * Runs `work` while no other process does so under the same lock. The lock is a folder that is
 * moved into place: that move fails while another full folder stands there, on every file system.
 * Its holder writes a new beat into it every 2 s; one that stands still for 15 s was left behind.
 */
export async function withLock<T>(
  world: ModelWorld,
  lock_path: string,
  work: () => Promise<T>,
): Promise<T> {
  await acquire(world, lock_path);
  let beats = 0;
  let writing: Promise<void> = Promise.resolve();
  let timer = world.clock.after(BEAT_MS, beat);
  function beat(): void {
    beats++;
    // A beat that cannot be written is no reason to stop: at worst another process takes over.
    writing = world.files
      .write(`${lock_path}/beat`, beatBytes(world, beats))
      .catch(() => undefined);
    timer = world.clock.after(BEAT_MS, beat);
  }
  try {
    return await work();
  } finally {
    world.clock.cancel(timer);
    await writing; // or a late beat would bring the folder back
    await onDisk(folderOf(lock_path), () => world.files.remove(lock_path));
  }
}

async function acquire(world: ModelWorld, lock_path: string): Promise<void> {
  const { files, clock } = world;
  const folder = folderOf(lock_path);
  // Containers that share a cache share process ids too, so the time is part of the name.
  const own = `${lock_path}.${world.spawn.pid}-${clock.now_ms()}`;
  await onDisk(folder, async () => {
    await files.makeFolder(own);
    await files.write(`${own}/beat`, beatBytes(world, 0));
  });
  const began_ms = clock.now_ms();
  let seen = "";
  let seen_ms = began_ms;
  try {
    while (!(await tryMove(world, own, lock_path))) {
      const beat = await readBeat(world, lock_path);
      const now_ms = clock.now_ms();
      if (beat !== seen) {
        seen = beat;
        seen_ms = now_ms;
      } else if (now_ms - seen_ms > STALE_MS) {
        await onDisk(folder, () => files.remove(lock_path));
        continue;
      }
      if (now_ms - began_ms > GIVE_UP_MS) throw stuck(lock_path);
      await sleep(world, POLL_MS);
    }
  } catch (thrown) {
    await files.remove(own);
    throw thrown;
  }
}

async function tryMove(world: ModelWorld, from: string, to: string): Promise<boolean> {
  try {
    await world.files.rename(from, to);
    return true;
  } catch (thrown) {
    const code = (thrown as { code?: unknown } | null)?.code;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    return await onDisk(folderOf(to), () => Promise.reject(thrown));
  }
}

/** Empty while the holder is just moving in or out. */
async function readBeat(world: ModelWorld, lock_path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await world.files.read(`${lock_path}/beat`));
  } catch {
    return "";
  }
}

function beatBytes(world: ModelWorld, beats: number): Uint8Array {
  return new TextEncoder().encode(`process ${world.spawn.pid}, beat ${beats}\n`);
}

function stuck(lock_path: string): ModelError {
  const message = `another process has been fetching this model for 6 hours: remove ${lock_path}`;
  return new ModelError("model_cache_unusable", message);
}
