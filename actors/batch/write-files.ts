/**
 * The output and the error file of a batch, out of its log. Written again after a crash they are
 * the same files.
 */
import type { FileShelf, NewFile } from "../files/files.ts";
import type { AnswerLog } from "./answer-log.ts";
import type { BatchMade } from "./batch-record.ts";
import { errorLine, expiredError } from "./output-line.ts";

/** A line that nobody answered. */
export type OpenLine = { readonly number: number; readonly custom_id: string | null };

export type Written = { readonly has_output: boolean; readonly has_errors: boolean };

const PART_BYTES = 256 * 1024;

/** `isOwn`: asked when all is read, before the files are there. Undefined: it is another's. */
export async function writeFiles(
  shelf: FileShelf,
  made: BatchMade,
  log: AnswerLog,
  expired: AsyncIterable<OpenLine> | undefined,
  isOwn: () => Promise<boolean>,
): Promise<Written | undefined> {
  const output = new LineFile(shelf.begin(made.output_file_id));
  const errors = new LineFile(shelf.begin(made.error_file_id));
  try {
    for await (const { ok, line } of log.records()) await (ok ? output : errors).add(line);
    if (expired !== undefined) {
      for await (const { number, custom_id } of expired) {
        await errors.add(errorLine(lineId(made.id, number), custom_id, expiredError(number)));
      }
    }
    await Promise.all([output.flush(), errors.flush()]);
    // Whoever takes a batch over may have removed the log, but not before it took it.
    if (!(await isOwn())) return await dropped(output, errors);
    const { owner, id, output_expires_after_s: expires_after_s } = made;
    const facts = { owner, purpose: "batch_output", expires_after_s } as const;
    return {
      has_output: await output.keep({ ...facts, filename: `${id}_output.jsonl` }),
      has_errors: await errors.keep({ ...facts, filename: `${id}_error.jsonl` }),
    };
  } catch (error) {
    await dropped(output, errors);
    throw error;
  }
}

async function dropped(...files: readonly LineFile[]): Promise<undefined> {
  await Promise.all(files.map((file) => file.drop()));
  return undefined;
}

/** The same in each life of a runner. */
export const lineId = (batch: string, number: number): string =>
  `batch_req_${batch.slice("batch_".length)}_${number}`;

/** Lines that go to their file some at a time. */
class LineFile {
  readonly #file: NewFile;
  #text: string[] = [];
  #chars = 0;
  #empty = true;

  constructor(file: NewFile) {
    this.#file = file;
  }

  async add(line: string): Promise<void> {
    this.#empty = false;
    this.#text.push(line, "\n");
    this.#chars += line.length;
    if (this.#chars >= PART_BYTES) await this.flush();
  }

  /** False: there is no line, and so no file. */
  async keep(facts: Parameters<NewFile["keep"]>[0]): Promise<boolean> {
    if (this.#empty) return false;
    await this.#file.keep(facts);
    return true;
  }

  drop(): Promise<void> {
    return this.#file.drop().catch(() => {});
  }

  async flush(): Promise<void> {
    if (this.#text.length === 0) return;
    const bytes = new TextEncoder().encode(this.#text.join(""));
    this.#text = [];
    this.#chars = 0;
    await this.#file.append(bytes);
  }
}
