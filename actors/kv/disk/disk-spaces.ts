/**
 * The folder for blocks on disk: one folder a space, named by what tells blocks apart.
 *
 *     kv/IDENTITY/ab/ab34…      a block a file, in 256 sub-folders
 *     kv/IDENTITY/used          when it was opened last
 *     kv/IDENTITY/keeper        whose it is now
 *
 * At the start of a space its files are listed, beside everything else; none is read before it is
 * asked for. Folders of models that are not served now give way, the oldest first; one that another
 * cluster's keeper has never does, and is not counted either.
 */
import type { Capabilities } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import { type DiskHost, DiskSpace } from "./disk-space.ts";
import { FolderOwner, liveClaim } from "./folder-owner.ts";

export type DiskOptions = {
  /** Absolute. */
  readonly folder: string;
  readonly bytes: number;
};

type World = Pick<Capabilities, "files" | "spawn" | "clock" | "log" | "random">;

/** What was found in a folder beside blocks. */
export type Swept = { readonly partial: number; readonly foreign: number };

const FANOUT = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
const BLOCK = /^[0-9a-f]{16}$/;
/** A file that is being written: name, process, thread. */
const PARTIAL = /^[0-9a-f]{16}\.(\d+)\.\d+$/;
const FOLDER = /^[0-9a-f]{32}$/;
const PAGE_BYTES = 4096;

export class DiskSpaces {
  readonly #options: DiskOptions;
  readonly #areas: number;
  readonly #world: World;
  readonly #open = new Map<string, FolderOwner>();
  /** Tells this keeper from all others. */
  readonly #own: string;

  /** @param areas spaces that share the bytes */
  constructor(options: DiskOptions, areas: number, world: World) {
    this.#options = options;
    this.#areas = areas;
    this.#world = world;
    const { random } = world;
    this.#own = `${random.u32().toString(36)}${random.u32().toString(36)}`;
  }

  /**
   * Rejects when there can be no folder, and with FolderInUseError while another keeper has it.
   * @param lost another keeper has taken it
   */
  async open(
    host: Omit<DiskHost, "folder" | "capacity_bytes" | "now_ms">,
    lost: () => void,
  ): Promise<{ readonly disk: DiskSpace; readonly listed: Promise<Swept> }> {
    const { files, clock } = this.#world;
    const folder = `${this.#options.folder}/${host.identity}`;
    for (const name of FANOUT) await files.makeFolder(`${folder}/${name}`);
    if (!this.#open.has(host.identity)) {
      const gone = () => {
        this.#open.delete(host.identity);
        lost();
      };
      const owner = await FolderOwner.take(this.#world, folder, this.#own, gone);
      this.#open.set(host.identity, owner);
    }
    const used = new TextEncoder().encode(`${Math.floor(clock.wall_ms())}\n`);
    await files.write(`${folder}/used`, used);
    const capacity_bytes = Math.floor(this.#options.bytes / this.#areas);
    const now_ms = () => clock.now_ms();
    const disk = new DiskSpace({ ...host, folder, capacity_bytes, now_ms });
    const listed = this.#adopt(folder, disk);
    return { disk, listed: listed.then((swept) => this.#makeRoom(disk, host).then(() => swept)) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((owner) => owner.close()));
  }

  async #adopt(folder: string, disk: DiskSpace): Promise<Swept> {
    const { files, spawn } = this.#world;
    let partial = 0;
    let foreign = 0;
    for (const sub of FANOUT) {
      for (const name of await files.list(`${folder}/${sub}`)) {
        const writer = PARTIAL.exec(name)?.[1];
        if (BLOCK.test(name) && name.startsWith(sub)) disk.adopt(BigInt(`0x${name}`));
        else if (writer === undefined) foreign += 1;
        else if (!spawn.isAlive(Number(writer))) {
          partial += 1;
          await files.remove(`${folder}/${sub}/${name}`);
        }
      }
    }
    return { partial, foreign };
  }

  /** Other models' folders give way as far as all together are more than the disk may have. */
  async #makeRoom(disk: DiskSpace, { shape }: Pick<DiskHost, "shape">): Promise<void> {
    const { files, log } = this.#world;
    const { folder, bytes } = this.#options;
    const file_bytes = PAGE_BYTES + Math.ceil(shape.block_bytes / PAGE_BYTES) * PAGE_BYTES;
    let all = disk.stats().registered * file_bytes;
    const others: { readonly path: string; readonly used_ms: number; readonly bytes: number }[] =
      [];
    for (const name of await files.list(folder)) {
      if (!FOLDER.test(name) || this.#open.has(name)) continue;
      const path = `${folder}/${name}`;
      if ((await liveClaim(this.#world, path)) !== undefined) continue;
      const used = await files.read(`${path}/used`).catch(() => new Uint8Array());
      const size = await this.#bytesIn(path);
      others.push({
        path,
        used_ms: Number.parseInt(new TextDecoder().decode(used), 10) || 0,
        bytes: size,
      });
      all += size;
    }
    for (const other of others.sort((a, b) => a.used_ms - b.used_ms)) {
      if (all <= bytes) return;
      log.log("info", "blocks of a model that is not served give way", { folder: other.path });
      try {
        await files.remove(other.path);
        all -= other.bytes;
      } catch (error) {
        log.log("warn", "a folder of blocks cannot be removed", { why: errorText(error) });
      }
    }
  }

  /** As if all of its files were as large as the first one. */
  async #bytesIn(path: string): Promise<number> {
    const { files } = this.#world;
    let count = 0;
    let size = 0;
    for (const sub of FANOUT) {
      const names = await files.list(`${path}/${sub}`).catch(() => []);
      count += names.length;
      const [first] = names;
      if (size === 0 && first !== undefined) {
        size = (await files.size_bytes(`${path}/${sub}/${first}`)) ?? 0;
      }
    }
    return count * size;
  }
}
