/**
 * The files that one process writes its recording into, off the path of its turns:
 *
 *   add ─▶ chunk in memory ─▶ queue (bounded) ─▶ append, one at a time ─▶ NODE~START~PART.rec
 *            │ part is full: the next part begins            │ disk full or slow
 *            ▼                                               ▼
 *        oldest files of this node go                     dropped, and counted in the recording
 */
import type { Clock, Files, Log } from "../../capabilities.ts";
import { newWriter, type Writer } from "../../codec.ts";
import { errorText } from "../../error-text.ts";
import {
  addRecord,
  fileName,
  isOfNode,
  newFile,
  type RecordHeader,
  type WireRecord,
} from "./record-format.ts";

export type RecordFilesOptions = {
  readonly folder: string;
  /** Of this node's files, those of its earlier starts included. */
  readonly bytes_max: number;
  readonly header: Omit<RecordHeader, "part" | "now_ms" | "wall_ms">;
  readonly clock: Clock;
  readonly files: Files;
  readonly log: Log;
};

const FLUSH_MS = 100;
/** Bytes in memory at which they are written without a wait, and at which records are dropped. */
const CHUNK_BYTES = 256 * 1024;
const WAITING_MAX_BYTES = 16 * 1024 * 1024;
/** A part is an eighth of all, within these bounds. */
const PART_MIN_BYTES = 64 * 1024;
const PART_MAX_BYTES = 64 * 1024 * 1024;
const PARTS = 8;
/** After an error of the disk nothing is written for so long. */
const REST_MS = 1_000;

type Chunk = { readonly name: string; readonly bytes: Uint8Array };

export class RecordFiles {
  /** Number of the file that `add` fills. */
  part = 0;
  dropped_records = 0;
  readonly #options: RecordFilesOptions;
  readonly #part_max_bytes: number;
  #writer: Writer;
  /** Bytes of this part that are in the queue or in the file. */
  #part_bytes = 0;
  #queue: Chunk[] = [];
  #waiting_bytes = 0;
  #armed = false;
  #writing: Promise<void> | undefined;
  #resting = false;
  /** The last write failed. */
  #broken = false;
  #dropped = { records: 0, bytes: 0 };
  #closed = false;
  /** Oldest first. */
  readonly #kept: { readonly name: string; bytes: number }[] = [];

  private constructor(options: RecordFilesOptions) {
    this.#options = options;
    const share = Math.floor(options.bytes_max / PARTS);
    this.#part_max_bytes = Math.min(PART_MAX_BYTES, Math.max(PART_MIN_BYTES, share));
    this.#writer = this.#newPart();
  }

  /** Rejects when the folder cannot be written to. */
  static async open(options: RecordFilesOptions): Promise<RecordFiles> {
    const { files, folder, header } = options;
    await files.makeFolder(folder);
    const record = new RecordFiles(options);
    for (const name of await files.list(folder).catch(() => [])) {
      if (!isOfNode(name, header.node)) continue;
      const bytes = (await files.size_bytes(`${folder}/${name}`)) ?? 0;
      record.#kept.unshift({ name, bytes });
    }
    record.#kept.sort((a, b) => (a.name < b.name ? -1 : 1));
    await record.flush();
    if (record.#dropped.records + record.dropped_records > 0 || record.#resting) {
      throw new Error(`${folder} cannot be written to`);
    }
    return record;
  }

  /** False: there is no room now, and the record is dropped. */
  add(record: Parameters<typeof addRecord>[1]): boolean {
    const writer = this.#writer;
    const from = writer.pos;
    if (this.#waiting_bytes + from > WAITING_MAX_BYTES || this.#closed) {
      this.#drop(1, 0);
      return false;
    }
    if (this.#dropped.records > 0) {
      addRecord(writer, { dropped: this.#dropped } as Partial<WireRecord>);
      this.#dropped = { records: 0, bytes: 0 };
    }
    addRecord(writer, record);
    if (this.#part_bytes + writer.pos >= this.#part_max_bytes) this.#nextPart();
    else if (writer.pos >= CHUNK_BYTES) this.#cut();
    if (writer.pos >= CHUNK_BYTES || this.#queue.length > 0) void this.#write();
    else if (!this.#armed) this.#arm();
    return true;
  }

  /** Resolves when all that was added is in the files, or dropped. */
  async flush(): Promise<void> {
    this.#cut();
    do await this.#write();
    while (this.#queue.length > 0 && !this.#resting);
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
  }

  #arm(): void {
    this.#armed = true;
    this.#options.clock.after(FLUSH_MS, () => {
      this.#armed = false;
      this.#cut();
      void this.#write();
    });
  }

  #newPart(): Writer {
    const { clock, header } = this.#options;
    const at = { part: this.part, now_ms: clock.now_ms(), wall_ms: clock.wall_ms() };
    this.#part_bytes = 0;
    return newFile({ ...header, ...at });
  }

  #nextPart(): void {
    this.#cut();
    this.part++;
    this.#writer = this.#newPart();
  }

  /** What is in memory goes into the queue. */
  #cut(): void {
    const { pos, buf } = this.#writer;
    if (pos === 0) return;
    const name = fileName(this.#options.header, this.part);
    this.#queue.push({ name, bytes: buf.subarray(0, pos) });
    this.#waiting_bytes += pos;
    this.#part_bytes += pos;
    this.#writer = newWriter();
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
      if (this.#resting) this.#lost(chunk);
      else await this.#append(chunk);
      this.#waiting_bytes -= chunk.bytes.length;
    }
  }

  async #append(chunk: Chunk): Promise<void> {
    const { files, folder, log } = this.#options;
    try {
      // It may have been removed.
      if (this.#broken) await files.makeFolder(folder);
      await this.#makeRoom(chunk.bytes.length);
      await files.append(`${folder}/${chunk.name}`, chunk.bytes);
      const last = this.#kept.at(-1);
      if (last?.name === chunk.name) last.bytes += chunk.bytes.length;
      else this.#kept.push({ name: chunk.name, bytes: chunk.bytes.length });
      if (this.#broken) log.log("warn", "the recording goes on, after a gap", { folder });
      this.#broken = false;
    } catch (error) {
      this.#failed(chunk, error);
    }
  }

  /** The oldest files go; the one that is being filled stays. */
  async #makeRoom(more_bytes: number): Promise<void> {
    const { files, folder, bytes_max } = this.#options;
    let all_bytes = more_bytes;
    for (const { bytes } of this.#kept) all_bytes += bytes;
    while (all_bytes > bytes_max && this.#kept.length > 1) {
      const oldest = this.#kept.shift()!;
      all_bytes -= oldest.bytes;
      await files.remove(`${folder}/${oldest.name}`);
    }
  }

  /** Part of the chunk may be in the file, so what follows goes into another one. */
  #failed(chunk: Chunk, error: unknown): void {
    const { clock, log, folder } = this.#options;
    this.#resting = true;
    clock.after(REST_MS, () => {
      this.#resting = false;
    });
    this.#lost(chunk);
    this.#nextPart();
    if (this.#broken) return;
    this.#broken = true;
    const fields = { folder, error: errorText(error) };
    log.log("error", "the recording has a gap: its folder cannot be written to", fields);
  }

  #lost({ bytes }: Chunk): void {
    this.#drop(1, bytes.length);
  }

  #drop(records: number, bytes: number): void {
    this.dropped_records += records;
    this.#dropped.records += records;
    this.#dropped.bytes += bytes;
  }
}
