/**
 * Which keeper a folder of blocks belongs to: of several clusters on one machine, and of containers
 * that share a disk, one at a time.
 *
 *     kv/IDENTITY/keeper        its process, a text of its own, and a beat that it counts up
 *
 * Process ids mean nothing between containers, so a beat decides: who counts up lives. One whose
 * process is gone is believed to be so after a moment, one that only stands still after longer.
 */
import type { Capabilities } from "../../../runtime/capabilities.ts";

type World = Pick<Capabilities, "files" | "spawn" | "clock">;

const NAME = "keeper";
const BEAT_MS = 1_000;
const LOOK_MS = 250;
/** A beat that stands still for so long: its process is gone, or hangs. */
const GONE_MS = 1_500;
const HANGS_MS = 15_000;
/** Time in which another keeper's claim of the same moment would be seen. */
const SETTLE_MS = 100;

/** Somebody else has it. The message is one line that says what to do. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  readonly code = "folder_in_use";
}

type Claim = { readonly pid: number; readonly own: string; readonly beat: string };

async function claimIn({ files }: World, folder: string): Promise<Claim | undefined> {
  const bytes = await files.read(`${folder}/${NAME}`).catch(() => undefined);
  if (bytes === undefined) return undefined;
  if (bytes.length === 0) return undefined;
  const [pid = "", own = "", beat = ""] = new TextDecoder().decode(bytes).trim().split(" ");
  return { pid: Number(pid), own, beat };
}

const sleep = ({ clock }: World, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve));

/** The claim of another keeper that lives; undefined: there is none. */
export async function liveClaim(
  world: World,
  folder: string,
  own = "",
): Promise<Claim | undefined> {
  const first = await claimIn(world, folder);
  if (first === undefined || first.own === own) return undefined;
  const { spawn, clock } = world;
  const since_ms = clock.now_ms();
  for (;;) {
    await sleep(world, LOOK_MS);
    const now = await claimIn(world, folder);
    if (now === undefined) return undefined;
    if (now.own !== first.own || now.beat !== first.beat) return now;
    // A process of ours cannot be it: containers count their processes alike.
    const lives = first.pid !== spawn.pid && spawn.isAlive(first.pid);
    if (clock.now_ms() - since_ms >= (lives ? HANGS_MS : GONE_MS)) return undefined;
  }
}

export class FolderOwner {
  readonly #world: World;
  readonly #folder: string;
  readonly #own: string;
  readonly #lost: () => void;
  #beats = 0;
  #beating: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(world: World, folder: string, own: string, lost: () => void) {
    this.#world = world;
    this.#folder = folder;
    this.#own = own;
    this.#lost = lost;
  }

  /**
   * Rejects with FolderInUseError while another keeper has it.
   * @param own a text that no other keeper has
   * @param lost another keeper has taken it, as this process stood still for so long
   */
  static async take(
    world: World,
    folder: string,
    own: string,
    lost: () => void,
  ): Promise<FolderOwner> {
    const other = await liveClaim(world, folder, own);
    if (other !== undefined) throw inUse(folder, other);
    const owner = new FolderOwner(world, folder, own, lost);
    await owner.#write();
    await sleep(world, SETTLE_MS);
    const claim = await claimIn(world, folder);
    if (claim !== undefined && claim.own !== own) throw inUse(folder, claim);
    owner.#beatLater();
    return owner;
  }

  /** The next keeper need not wait. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // A beat that is being written would leave the claim behind.
    await this.#beating;
    const claim = await claimIn(this.#world, this.#folder);
    if (claim?.own !== this.#own) return;
    await this.#world.files.remove(`${this.#folder}/${NAME}`).catch(() => {});
  }

  #beatLater(): void {
    this.#world.clock.after(BEAT_MS, () => {
      if (!this.#closed) this.#beating = this.#beat();
    });
  }

  async #beat(): Promise<void> {
    const claim = await claimIn(this.#world, this.#folder);
    if (this.#closed) return;
    if (claim !== undefined && claim.own !== this.#own) {
      this.#closed = true;
      this.#lost();
      return;
    }
    this.#beats += 1;
    // A beat that cannot be written is no reason to stop: at worst another keeper takes over.
    await this.#write().catch(() => {});
    this.#beatLater();
  }

  async #write(): Promise<void> {
    const { files, spawn } = this.#world;
    const text = `${spawn.pid} ${this.#own} ${this.#beats}\n`;
    await files.write(`${this.#folder}/${NAME}`, new TextEncoder().encode(text));
  }
}

const inUse = (folder: string, { pid }: Claim) =>
  new FolderInUseError(
    `${folder} is in use by the keeper of another cluster (process ${pid}): ` +
      "give this one another --kv-disk-dir, or stop that one",
  );
