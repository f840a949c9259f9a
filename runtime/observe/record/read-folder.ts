/** A recording as a reader finds it: files of several processes, each with several starts. */
import { PROTOCOL_VERSION } from "../../../proto/index.ts";
import type { Files } from "../../capabilities.ts";
import { errorText } from "../../error-text.ts";
import {
  FORMAT,
  isFileName,
  type RecordActor,
  type RecordHeader,
  type RecordTurn,
  readFile,
  type WireRecord,
} from "./record-format.ts";

/** Told in one line. */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
}

/** Files of one start of one process, in their order. */
export type RecordedProcess = { readonly header: RecordHeader; readonly names: readonly string[] };

export type RecordedFolder = {
  readonly path: string;
  readonly processes: readonly RecordedProcess[];
  /** Lines about files that cannot be read, or not to their end. */
  readonly problems: readonly string[];
  /** Records of one of its files. */
  readonly read: (name: string) => Promise<readonly WireRecord[]>;
};

/** Rejects with RecordingError when there is nothing to read. */
export async function openFolder(path: string, files: Files): Promise<RecordedFolder> {
  const names = await files.list(path).catch((error: unknown) => {
    throw new RecordingError(`${path} cannot be read: ${errorText(error)}`);
  });
  const problems: string[] = [];
  const found = new Map<string, { readonly header: RecordHeader; readonly names: string[] }>();
  for (const name of names) {
    if (!isFileName(name)) continue;
    const content = await contentOf(`${path}/${name}`, files);
    if (typeof content === "string") {
      problems.push(`${name} ${content}`);
      continue;
    }
    const { header, torn_bytes } = content;
    if (torn_bytes > 0) {
      problems.push(`${name} ends inside a record: its last ${torn_bytes} bytes are left out`);
    }
    const key = `${header.node}~${header.started_ms}~${header.pid}`;
    const known = found.get(key) ?? { header, names: [] };
    known.names.push(name);
    found.set(key, known);
  }
  const processes = [...found.values()];
  if (processes.length === 0) {
    const why = problems[0] ?? "it has no files of a recording (NODE~START~PART.rec)";
    throw new RecordingError(`${path} holds nothing that can be read: ${why}`);
  }
  const read = async (name: string) => readFile(await files.read(`${path}/${name}`))?.records ?? [];
  return { path, processes, problems, read };
}

async function contentOf(path: string, files: Files) {
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path);
  } catch (error) {
    return `cannot be read: ${errorText(error)}`;
  }
  const content = readFile(bytes, 1);
  if (content === undefined) return "is no file of a recording";
  const { header } = content.records[0] ?? {};
  if (header === undefined) return "has no whole record: the process ended as it began to write";
  const { format, protocol_version, version } = header;
  if (format !== FORMAT) {
    return `has format ${format}, this program reads format ${FORMAT}: use troupe ${version}`;
  }
  if (protocol_version !== PROTOCOL_VERSION) {
    return (
      `holds messages of protocol version ${protocol_version}, this program has version ` +
      `${PROTOCOL_VERSION}: use troupe ${version}, which wrote it`
    );
  }
  return { header, torn_bytes: content.torn_bytes };
}

/** One life of one actor, as far as it is there. */
export type RecordedLife = {
  readonly header: RecordHeader;
  readonly actor: RecordActor;
  /** Without a hole from the first one on. */
  readonly turns: readonly RecordTurn[];
  /** Turns behind a hole, which cannot be used. */
  readonly behind_hole: number;
};

/** All lives of the actor, oldest first. Empty: there is no such actor. */
export async function livesOf(
  folder: RecordedFolder,
  node: string,
  path: string,
): Promise<readonly RecordedLife[]> {
  const lives: RecordedLife[] = [];
  for (const { header, names } of folder.processes) {
    if (header.node !== node) continue;
    const known = new Map<number, { actor: RecordActor; readonly turns: RecordTurn[] }>();
    for (const name of names) {
      for (const { actor, turn } of await folder.read(name)) {
        if (actor?.path === path) {
          const before = known.get(actor.actor);
          if (before === undefined) known.set(actor.actor, { actor, turns: [] });
        }
        if (turn !== undefined) known.get(turn.actor)?.turns.push(turn);
      }
    }
    for (const { actor, turns } of known.values()) lives.push(lifeOf(header, actor, turns));
  }
  return lives;
}

function lifeOf(
  header: RecordHeader,
  actor: RecordActor,
  all: readonly RecordTurn[],
): RecordedLife {
  const from = all[0]?.number ?? 0;
  const hole = all.findIndex((turn, index) => turn.number !== from + index);
  const turns = hole < 0 ? all : all.slice(0, hole);
  return { header, actor, turns, behind_hole: all.length - turns.length };
}
