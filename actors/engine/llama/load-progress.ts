/** How far the start of an engine is: first its model's files are read, then they are laid out. */
import type { NativeStats } from "../../../native/index.ts";
import { sizeText } from "../../../runtime/size-text.ts";

export type LoadProgress = {
  /** Of its stage, from 0 to 1. */
  readonly fraction: number;
  /** Of the model's files: in the system's memory, or laid out as this processor computes best. */
  readonly done_bytes: number;
  readonly total_bytes: number;
  readonly stage: "reading" | "laying out";
};

/** `permille`: how far llama.cpp is, which begins when all is read. */
export function loadProgress(
  { read_bytes, file_bytes }: Pick<NativeStats, "read_bytes" | "file_bytes">,
  permille: number,
): LoadProgress {
  const isRead = permille > 0 || (file_bytes > 0 && read_bytes >= file_bytes);
  const fraction = isRead ? permille / 1_000 : read_bytes / Math.max(1, file_bytes);
  return {
    fraction,
    done_bytes: fraction * file_bytes,
    total_bytes: file_bytes,
    stage: isRead ? "laying out" : "reading",
  };
}

/** For a person, in one line. */
export function loadText(model_path: string, { stage, ...progress }: LoadProgress): string {
  const { done_bytes, total_bytes } = progress;
  return `${stage} ${sizeText(Math.round(done_bytes))} of ${sizeText(total_bytes)}, ${model_path}`;
}
