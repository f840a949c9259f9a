import { errorText } from "../../runtime/error-text.ts";
import { sizeText } from "../../runtime/size-text.ts";
import { ModelError } from "./model-error.ts";
import { cancelled, type ModelWorld, onDisk, sleep, within } from "./model-world.ts";

export type DownloadRequest = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Absolute; the file appears there only when it is complete and checked. */
  readonly path: string;
  readonly label: string;
  /** In hex; undefined: unknown. */
  readonly sha256: string | undefined;
  readonly size_bytes: number | undefined;
  /** A larger file is not fetched, whether or not the server states its size. */
  readonly max_bytes?: number;
  /** The error for an HTTP status that trying again does not mend. */
  readonly explain: (status: number) => ModelError;
};

const MAX_TRIES = 5; // in a row, without a byte between them
const CONNECT_MS = 30_000;
const IDLE_MS = 60_000;
const WRITE_BYTES = 1 << 20;
const REHASH_BYTES = 8 << 20;
const PROGRESS_MS = 100;
const MAX_RETRY_WAIT_MS = 30_000;

/**
 * Fetches one file. After a cut, the bytes stay in `path + ".part"` and the download continues
 * there, in this run and in later ones; the checksum covers all of it. Throws ModelError.
 */
export async function download(world: ModelWorld, request: DownloadRequest): Promise<void> {
  const folder = folderOf(request.path);
  if (await isComplete(world, request)) return;
  await onDisk(folder, () => world.files.makeFolder(folder));
  const part = await PartFile.open(world, request, folder);
  await requireSpace(world, request, folder, part.size);
  let tries = 0;
  while (!part.complete) {
    const before = part.size;
    const wait_ms = await fetchRest(world, request, part);
    if (part.complete) break;
    tries = part.size > before ? 0 : tries + 1;
    if (tries === MAX_TRIES) throw lost(request, part.size);
    await sleep(world, wait_ms ?? Math.min(200 * 2 ** tries, MAX_RETRY_WAIT_MS));
  }
  await part.finish();
}

async function isComplete(world: ModelWorld, request: DownloadRequest): Promise<boolean> {
  const folder = folderOf(request.path);
  const size = await onDisk(folder, () => world.files.size_bytes(request.path));
  return size !== undefined && (request.size_bytes === undefined || size === request.size_bytes);
}

async function requireSpace(
  world: ModelWorld,
  request: DownloadRequest,
  folder: string,
  have_bytes: number,
): Promise<void> {
  if (request.size_bytes === undefined) return;
  const need = request.size_bytes - have_bytes;
  const free = await onDisk(folder, () => world.files.free_bytes(folder));
  if (free >= need) return;
  const wants = `${request.label} needs ${sizeText(need)} more in ${folder}`;
  const sizes = `${wants}, ${sizeText(free)} are free`;
  throw new ModelError("model_disk_full", `${sizes}: free some, or give another --cache-dir`);
}

/** One try. Returns the wait that the server asks for, if any; throws a final error. */
async function fetchRest(
  world: ModelWorld,
  request: DownloadRequest,
  part: PartFile,
): Promise<number | undefined> {
  const headers = { ...request.headers, ...part.rangeHeader() };
  const stop = new AbortController();
  const forward = (): void => stop.abort();
  world.signal?.addEventListener("abort", forward, { once: true });
  try {
    if (world.signal?.aborted === true) throw cancelled();
    const response = await within(
      world,
      CONNECT_MS,
      world.net.fetch(request.url, { headers, signal: stop.signal, redirect: "follow" }),
      () => new Error("no answer"),
    );
    const { status } = response;
    if (status === 429 || status >= 500) {
      await response.body?.cancel();
      return retryAfter_ms(response);
    }
    if (!(await part.accept(response))) return undefined;
    await readBody(world, response, part);
    return undefined;
  } catch (thrown) {
    if (world.signal?.aborted === true) throw cancelled();
    if (thrown instanceof ModelError) throw thrown;
    part.last_error = errorText(thrown);
    return undefined;
  } finally {
    world.signal?.removeEventListener("abort", forward);
    stop.abort();
    await part.write();
  }
}

async function readBody(world: ModelWorld, response: Response, part: PartFile): Promise<void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (;;) {
    const chunk = await within(world, IDLE_MS, reader.read(), () => new Error("no data for 60 s"));
    if (chunk.done) break;
    await part.add(chunk.value);
  }
  part.ended();
}

/** The growing `.part` file with its running checksum. */
class PartFile {
  /** Bytes so far, written or about to be. */
  size = 0;
  complete = false;
  last_error = "";
  #total: number | undefined;
  #hasher = new Bun.CryptoHasher("sha256");
  #waiting: Uint8Array[] = [];
  #waiting_bytes = 0;
  readonly #path: string;
  readonly #began_ms: number;
  #began_size = 0;
  #told_ms = Number.NEGATIVE_INFINITY;

  readonly #world: ModelWorld;
  readonly #request: DownloadRequest;
  readonly #folder: string;

  private constructor(world: ModelWorld, request: DownloadRequest, folder: string) {
    this.#world = world;
    this.#request = request;
    this.#folder = folder;
    this.#path = `${request.path}.part`;
    this.#total = request.size_bytes;
    this.#began_ms = world.clock.now_ms();
  }

  static async open(
    world: ModelWorld,
    request: DownloadRequest,
    folder: string,
  ): Promise<PartFile> {
    const part = new PartFile(world, request, folder);
    const size = (await onDisk(folder, () => world.files.size_bytes(part.#path))) ?? 0;
    if (part.#total !== undefined && size > part.#total) await part.#restart();
    else await part.#rehash(size);
    part.#began_size = part.size;
    part.complete = part.size > 0 && part.size === part.#total;
    return part;
  }

  rangeHeader(): Record<string, string> {
    return this.size === 0 ? {} : { range: `bytes=${this.size}-` };
  }

  /** Makes ready for the body of this response; false when there is none to read. */
  async accept(response: Response): Promise<boolean> {
    const { status } = response;
    if (status === 206) {
      const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
      if (range === null || Number(range[1]) !== this.size) await this.#restart();
      else if (range[2] !== "*") this.#total ??= Number(range[2]);
      return range !== null && Number(range[1]) === this.size;
    }
    if (status === 200) {
      if (this.size > 0) await this.#restart(); // the server knows no ranges
      const length = Number(response.headers.get("content-length") ?? Number.NaN);
      const encoded = response.headers.get("content-encoding") !== null;
      if (!encoded && Number.isInteger(length)) this.#total ??= length;
      return true;
    }
    await response.body?.cancel();
    if (status !== 416) throw this.#request.explain(status);
    const total = /^bytes \*\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
    if (Number(total) === this.size) this.complete = true;
    else await this.#restart();
    return false;
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.#waiting.push(bytes);
    this.#waiting_bytes += bytes.length;
    this.size += bytes.length;
    await this.#checkSize();
    this.#hasher.update(bytes);
    if (this.#waiting_bytes >= WRITE_BYTES) await this.write();
    this.#tell(false);
  }

  /** A body that goes on beyond its size would fill the disk. */
  async #checkSize(): Promise<void> {
    const { label, max_bytes = Number.POSITIVE_INFINITY } = this.#request;
    const most = Math.min(max_bytes, this.#total ?? max_bytes);
    if (this.size <= most) return;
    await this.#restart();
    const message = `${label} is larger than ${sizeText(most)}, which is all it may have: take another`;
    throw new ModelError("model_checksum", message);
  }

  /** The body is over: complete when nobody said a size, or when it fits. */
  ended(): void {
    this.complete = this.#total === undefined || this.size === this.#total;
  }

  async write(): Promise<void> {
    if (this.#waiting_bytes === 0) return;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waiting_bytes = 0;
    await onDisk(this.#folder, () => this.#world.files.append(this.#path, bytes));
  }

  async finish(): Promise<void> {
    this.#tell(true);
    const { files } = this.#world;
    const { label, sha256 } = this.#request;
    const wrong_size = this.#total !== undefined && this.size !== this.#total;
    const wrong_sum = sha256 !== undefined && this.#hasher.digest("hex") !== sha256.toLowerCase();
    if (wrong_size || wrong_sum) {
      await onDisk(this.#folder, () => files.remove(this.#path));
      const what = wrong_size ? "size" : "sha256";
      const advice = "run again; if that does not help, the file on the server is broken";
      throw new ModelError(
        "model_checksum",
        `${label} came damaged (its ${what} differs): ${advice}`,
      );
    }
    await onDisk(this.#folder, () => files.rename(this.#path, this.#request.path));
  }

  async #restart(): Promise<void> {
    await onDisk(this.#folder, () => this.#world.files.remove(this.#path));
    this.#waiting = [];
    this.#waiting_bytes = 0;
    this.size = 0;
    this.#began_size = 0;
    this.complete = false;
    this.#hasher = new Bun.CryptoHasher("sha256");
  }

  async #rehash(size: number): Promise<void> {
    while (this.size < size) {
      const length = Math.min(REHASH_BYTES, size - this.size);
      const bytes = await onDisk(this.#folder, () =>
        this.#world.files.read(this.#path, this.size, length),
      );
      this.#hasher.update(bytes);
      this.size += bytes.length;
    }
  }

  #tell(last: boolean): void {
    const now_ms = this.#world.clock.now_ms();
    if (!last && now_ms - this.#told_ms < PROGRESS_MS) return;
    this.#told_ms = now_ms;
    const seconds = Math.max(0.001, (now_ms - this.#began_ms) / 1000);
    this.#world.onProgress?.({
      label: this.#request.label,
      received_bytes: this.size,
      total_bytes: this.#total,
      bytes_per_s: Math.round((this.size - this.#began_size) / seconds),
    });
  }
}

function retryAfter_ms(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.min(1000 * seconds, MAX_RETRY_WAIT_MS) : undefined;
}

function lost(request: DownloadRequest, have_bytes: number): ModelError {
  const host = URL.parse(request.url)?.host ?? request.url;
  const advice =
    have_bytes > 0
      ? `run again to go on after ${sizeText(have_bytes)}`
      : "check the network (or the proxy settings) and run again";
  return new ModelError(
    "model_offline",
    `${request.label} cannot be fetched from ${host}: ${advice}`,
  );
}

export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
