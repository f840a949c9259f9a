/**
 * The recorder of one process: its files, its connections, and its actors of the wanted kinds. The
 * system is made with it, and without one nothing here runs.
 */

import { PROTOCOL_VERSION } from "../../../proto/index.ts";
import type { Capabilities } from "../../capabilities.ts";
import { errorText } from "../../error-text.ts";
import type { Cell } from "../../kernel/cell.ts";
import type { StepHook } from "../../kernel/stepped-cell.ts";
import type { Transport } from "../../transport/transport.ts";
import { RecordError } from "./record-error.ts";
import { RecordFiles } from "./record-files.ts";
import { FORMAT } from "./record-format.ts";
import { RecordedCell } from "./recorded-cell.ts";
import { recordedTransport } from "./recorded-links.ts";

/** Travels in the boot record of each process. */
export type RecordSettings = {
  readonly folder: string;
  /** Of one node's files, those of its earlier starts included. */
  readonly bytes_max: number;
  /** Roles and paths, with `*` for any text, and commas between them. */
  readonly actors: string;
  /** Of the program. */
  readonly version: string;
};

/** Rejects with RecordError when the folder cannot be written to. */
export async function openRecorder(
  settings: RecordSettings,
  process: { readonly node: string; readonly role: string },
  { clock, files, log, random, spawn }: Capabilities,
): Promise<Recorder> {
  const { folder, bytes_max, version } = settings;
  const header = {
    ...{ protocol_version: PROTOCOL_VERSION, format: FORMAT, version, ...process },
    ...{ pid: spawn.pid, started_ms: clock.wall_ms(), seed: random.u32() },
  };
  try {
    const opened = await RecordFiles.open({ folder, bytes_max, header, clock, files, log });
    return new Recorder(opened, { clock }, wantedBy(settings.actors));
  } catch (error) {
    throw new RecordError(`--record: cannot write to ${folder}: ${errorText(error)}`);
  }
}

export class Recorder {
  readonly #files: RecordFiles;
  readonly #world: Pick<Capabilities, "clock">;
  readonly #wants: (path: string, role: string) => boolean;
  #last_actor = 0;
  #last_link = 0;

  constructor(
    files: RecordFiles,
    world: Pick<Capabilities, "clock">,
    wants: (path: string, role: string) => boolean,
  ) {
    this.#files = files;
    this.#world = world;
    this.#wants = wants;
  }

  /** Undefined: an actor that is not recorded. */
  newCell(
    steps: StepHook | undefined,
    ...of: ConstructorParameters<typeof Cell>
  ): Cell | undefined {
    const [, parent, { name, role = "" }] = of;
    if (!this.#wants(`${parent?.path ?? ""}/${name}`, role)) return undefined;
    return new RecordedCell({ number: ++this.#last_actor, files: this.#files }, steps, ...of);
  }

  transports(of: readonly Transport[]): readonly Transport[] {
    const recorder = {
      files: this.#files,
      clock: this.#world.clock,
      nextLink: () => ++this.#last_link,
    };
    return of.map((each) => recordedTransport(each, recorder));
  }

  get dropped_records(): number {
    return this.#files.dropped_records;
  }

  flush(): Promise<void> {
    return this.#files.flush();
  }

  close(): Promise<void> {
    return this.#files.close();
  }
}

/** Each pattern is a role, or a path when it begins with "/" or "*". */
export function wantedBy(patterns: string): (path: string, role: string) => boolean {
  const all = patterns
    .split(",")
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "");
  const roles = new Set(all.filter((pattern) => !/[/*]/.test(pattern)));
  const paths = all
    .filter((pattern) => /[/*]/.test(pattern))
    .map((pattern) =>
      pattern
        .split("*")
        .map((text) => RegExp.escape(text))
        .join(".*"),
    )
    .map((source) => new RegExp(`^${source}$`));
  return (path, role) => roles.has(role) || paths.some((pattern) => pattern.test(path));
}
