/** What is known of one file, and its forms: the record, the keys that lead to it, OpenAI's JSON. */
import { countedDown, hexTime, timeOf } from "./ids.ts";

export const FILE_PREFIX = "file-";

/** What clients may upload a file for. */
export const uploadPurposes = [
  "assistants",
  "batch",
  "evals",
  "fine-tune",
  "user_data",
  "vision",
] as const;
export type UploadPurpose = (typeof uploadPurposes)[number];
export type FilePurpose = UploadPurpose | "batch_output";

export type FileRecord = {
  readonly id: string;
  /** The key that made it; "" where none is required. */
  readonly owner: string;
  readonly bytes: number;
  /** Unix seconds. */
  readonly created_at: number;
  readonly expires_at?: number | undefined;
  readonly filename: string;
  readonly purpose: FilePurpose;
  /** The name of its bytes. */
  readonly content: string;
};

/** OpenAI's FileObject. */
export const fileJson = (file: FileRecord): object => ({
  id: file.id,
  object: "file",
  bytes: file.bytes,
  created_at: file.created_at,
  ...(file.expires_at === undefined ? {} : { expires_at: file.expires_at }),
  filename: file.filename,
  purpose: file.purpose,
  status: "processed",
});

export const fileKey = (id: string): string => `file/${id}`;

export const fileTime_ms = (id: string): number | undefined => timeOf(id, FILE_PREFIX);

/** The newest first. The size is in the key, so that one listing says what an owner keeps. */
export const ownedKey = ({ owner, id, bytes }: FileRecord): string =>
  `${ownedPrefix(owner)}${countedDown(fileTime_ms(id) ?? 0)}/${id}/${bytes}`;
export const ownedPrefix = (owner: string): string => `files/${owner === "" ? "-" : owner}/`;

export function ownedEntry(key: string): { readonly id: string; readonly bytes: number } {
  const [id = "", bytes = "0"] = key.split("/").slice(-2);
  return { id, bytes: Number(bytes) };
}

/** Behind which key the files that follow this one are listed. */
export const behindFile = (owner: string, id: string): string =>
  `${ownedPrefix(owner)}${countedDown(fileTime_ms(id) ?? 0)}/${id}/~`;

export const EXPIRIES = "file-expiry/";
/** In the order in which files expire. */
export const expiryKey = (expires_at: number, id: string): string =>
  `${EXPIRIES}${hexTime(expires_at * 1_000)}/${id}`;

export function expiryEntry(key: string): { readonly id: string; readonly at_ms: number } {
  const [time = "", id = ""] = key.slice(EXPIRIES.length).split("/");
  return { id, at_ms: Number.parseInt(time, 16) };
}

export const usesPrefix = (id: string): string => `file-use/${id}/`;
