/** The face of `files`: what clients upload, and what batches write for them. */
export { type Contents, type ContentWriter, FolderContents, StoreContents } from "./contents.ts";
export {
  FILE_PREFIX,
  type FilePurpose,
  type FileRecord,
  fileJson,
  fileTime_ms,
  type UploadPurpose,
  uploadPurposes,
} from "./file-record.ts";
export {
  type FileFacts,
  type FileLimits,
  FileShelf,
  fileLimits,
  type NewFile,
  type Page,
  ShelfError,
} from "./file-shelf.ts";
export { countedDown, hexTime, timedId, timeOf } from "./ids.ts";
