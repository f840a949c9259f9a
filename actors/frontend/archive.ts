/** What the API keeps of files and batches: records in the process's store, bytes in a folder or in the store. */
import type { Capabilities } from "../../runtime/capabilities.ts";
import { BatchBook } from "../batch/batch.ts";
import { FileShelf, FolderContents, StoreContents } from "../files/files.ts";
import type { Archive } from "./api/json-route.ts";

/** `folder`: where bytes lie; without, they are records too, which several machines share. */
export function archiveOver(
  capabilities: Pick<Capabilities, "store" | "clock" | "random" | "files">,
  folder?: string,
): Archive {
  const { store, clock, random, files } = capabilities;
  const contents =
    folder === undefined ? new StoreContents(store) : new FolderContents(files, folder);
  const batches = new BatchBook({ store, clock, random });
  return { files: new FileShelf({ store, contents, clock, random }), batches, clock, random };
}
