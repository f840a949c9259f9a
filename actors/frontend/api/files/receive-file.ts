/**
 * An upload → a file on the shelf. The bytes go to their place as they come, so an upload needs the
 * memory of one part. Whatever goes wrong on the way, nothing of it is kept.
 */
import type { FileRecord, FileShelf, NewFile } from "../../../files/files.ts";
import { badForm, boundaryOf, type FormPart, FormReader } from "../../http/multipart.ts";
import { cutOff } from "../../http/upload.ts";
import { ApiError, clip, missingParameter, unknownParameter } from "../api-error.ts";
import { checkShape } from "../check-body.ts";
import type { Upload } from "../json-route.ts";
import { objectOf } from "../request-fields.ts";
import { BATCH_FILE_EXPIRES_S, uploadFields } from "./file-fields.ts";

const uploadShape = objectOf(uploadFields);
const FIELD_BYTES_MAX = 4_096;
/** Beside the file: boundaries and small fields. */
const FORM_BYTES = 65_536;
const FILENAME_CHARS_MAX = 255;

const NO_PART = "the boundary that its Content-Type names does not come in it";

type Received = {
  readonly fields: Map<string, string>;
  filename: string | undefined;
};

/** Rejects with ApiError, or with ShelfError when there is no room for it. */
export async function receiveFile(
  shelf: FileShelf,
  owner: string,
  upload: Upload,
): Promise<FileRecord> {
  const form = new FormReader(boundaryOf(upload.type));
  const { file_bytes } = shelf.limits;
  if ((upload.length_bytes ?? 0) > file_bytes + FORM_BYTES) throw tooLarge(file_bytes);
  await shelf.checkRoom(owner);
  const file = shelf.begin();
  try {
    const received = await fill(file, form, upload);
    const facts = factsOf(received);
    return await file.keep({ owner, ...facts });
  } catch (error) {
    upload.stop();
    await file.drop().catch(() => {});
    throw error;
  }
}

async function fill(file: NewFile, form: FormReader, upload: Upload): Promise<Received> {
  const received: Received = { fields: new Map(), filename: undefined };
  let part: FormPart | undefined;
  let value = Buffer.alloc(0);
  while (!form.complete) {
    const bytes = await upload.next();
    if (bytes === undefined) throw form.begun ? cutOff() : badForm(NO_PART);
    for (const event of form.push(bytes)) {
      switch (event.kind) {
        case "part":
          part = event.part;
          value = Buffer.alloc(0);
          begin(received, part);
          break;
        case "data":
          if (part?.filename !== undefined) await file.append(event.bytes);
          else value = longer(value, event.bytes, part?.name ?? "");
          break;
        case "part_end":
          if (part?.filename === undefined) setField(received, part?.name ?? "", value.toString());
      }
    }
  }
  // What follows the form counts for nothing, and is read, or the client would see a broken pipe.
  while ((await upload.next()) !== undefined) {}
  return received;
}

/** A field that comes twice says two things. */
function setField({ fields }: Received, name: string, value: string): void {
  if (fields.has(name)) throw badForm(`its field '${clip(name)}' comes twice`);
  fields.set(name, value);
}

function begin(received: Received, part: FormPart): void {
  if (part.filename === undefined) return;
  if (part.name !== "file") {
    throw new ApiError(
      400,
      "unknown_parameter",
      `The file's field is named '${clip(part.name)}'; name it 'file'.`,
      clip(part.name),
    );
  }
  if (received.filename !== undefined) throw badForm("it holds two files; send one at a time");
  received.filename = part.filename;
}

function longer(value: Buffer<ArrayBuffer>, bytes: Uint8Array, name: string) {
  if (value.length + bytes.length <= FIELD_BYTES_MAX) return Buffer.concat([value, bytes]);
  throw badForm(
    name === "file"
      ? "its field 'file' has no filename"
      : `its field '${clip(name)}' has more than ${FIELD_BYTES_MAX} bytes`,
  );
}

const EXPIRY = /^expires_after\[(anchor|seconds)\]$/;

function factsOf({ fields, filename }: Received) {
  if (filename === undefined) {
    throw fields.has("file")
      ? badForm("its field 'file' has no filename")
      : missingParameter("file");
  }
  const expiry: Record<string, string | number> = {};
  const body: Record<string, unknown> = { file: filename };
  for (const [name, value] of fields) {
    const [, inner] = EXPIRY.exec(name) ?? [];
    if (inner !== undefined) expiry[inner] = inner === "seconds" ? Number(value) : value;
    else if (Object.hasOwn(uploadFields, name) && name !== "expires_after") body[name] = value;
    else throw unknownParameter(clip(name));
  }
  if (Object.keys(expiry).length > 0) body["expires_after"] = expiry;
  const { purpose, expires_after } = checkShape(body, uploadShape);
  const usual_s = purpose === "batch" ? BATCH_FILE_EXPIRES_S : undefined;
  return {
    purpose,
    filename: cleanName(filename),
    expires_after_s: expires_after?.seconds ?? usual_s,
  };
}

/** Without folders; control characters would break headers. */
function cleanName(given: string): string {
  const name = given.split(/[/\\]/).at(-1) ?? "";
  const clean = name
    .toWellFormed()
    .replace(/\p{Cc}/gu, "")
    .slice(0, FILENAME_CHARS_MAX);
  return clean === "" ? "file" : clean.toWellFormed();
}

const tooLarge = (limit_bytes: number) =>
  new ApiError(
    413,
    "file_too_large",
    `A file has at most ${limit_bytes} bytes. Send what it holds as several files.`,
    "file",
    { Connection: "close" },
  );
