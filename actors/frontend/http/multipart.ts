/**
 * A body of multipart/form-data, read as it comes: bytes in, parts out. It keeps no more than the
 * head of one part, and a delimiter that may have begun.
 */
import { ApiError } from "../api/api-error.ts";

export type FormPart = {
  readonly name: string;
  /** Undefined: a plain field. */
  readonly filename: string | undefined;
};

export type FormEvent =
  | { readonly kind: "part"; readonly part: FormPart }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "part_end" };

/** One part's head: names and types are short. */
const HEAD_BYTES_MAX = 16_384;
const LINE_END = "\r\n";
const BLANK_LINE = Buffer.from(LINE_END + LINE_END);

/** The boundary that a Content-Type names. Throws ApiError (415). */
export function boundaryOf(type: string | null): string {
  const isForm = /^multipart\/form-data\s*;/i.test(type ?? "");
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (isForm && boundary !== undefined) return boundary;
  throw new ApiError(
    415,
    "unsupported_media_type",
    "A file is uploaded as multipart/form-data with a boundary: curl -F purpose=batch " +
      "-F file=@requests.jsonl.",
    "Content-Type",
  );
}

export class FormReader {
  readonly #delimiter: Buffer;
  /** The first delimiter has no line end before it. */
  #rest: Buffer = Buffer.from(LINE_END);
  #state: "before" | "mark" | "head" | "data" | "after" = "before";

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`${LINE_END}--${boundary}`);
  }

  /** True: the closing delimiter has come, and nothing that follows counts. */
  get complete(): boolean {
    return this.#state === "after";
  }

  /** True: the first delimiter has come. */
  get begun(): boolean {
    return this.#state !== "before";
  }

  /** Throws ApiError (400) for what is no form. */
  push(bytes: Uint8Array): readonly FormEvent[] {
    const events: FormEvent[] = [];
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    while (this.#step(events)) {}
    return events;
  }

  /** False: more bytes have to come first. */
  #step(events: FormEvent[]): boolean {
    switch (this.#state) {
      case "before":
      case "data":
        return this.#data(events, this.#state === "data");
      case "mark":
        return this.#mark();
      case "head":
        return this.#head(events);
      case "after":
        this.#rest = Buffer.alloc(0);
        return false;
    }
  }

  #data(events: FormEvent[], inside: boolean): boolean {
    const at = this.#rest.indexOf(this.#delimiter);
    // The end of what is here may be the begin of a delimiter.
    const end = at < 0 ? Math.max(0, this.#rest.length - this.#delimiter.length + 1) : at;
    if (inside && end > 0) events.push({ kind: "data", bytes: this.#rest.subarray(0, end) });
    this.#rest = this.#rest.subarray(at < 0 ? end : at + this.#delimiter.length);
    if (at < 0) return false;
    if (inside) events.push({ kind: "part_end" });
    this.#state = "mark";
    return true;
  }

  /** Behind a delimiter: a line end, or two dashes for the last one. */
  #mark(): boolean {
    if (this.#rest.length < 2) return false;
    const mark = this.#rest.toString("latin1", 0, 2);
    if (mark !== "--" && mark !== LINE_END) {
      throw badForm("a delimiter is not followed by a line end");
    }
    // The line end stays: together with the next one it ends an empty head.
    this.#state = mark === "--" ? "after" : "head";
    return true;
  }

  #head(events: FormEvent[]): boolean {
    const end = this.#rest.indexOf(BLANK_LINE);
    if ((end < 0 ? this.#rest.length : end) > HEAD_BYTES_MAX) {
      throw badForm(`the head of a part has more than ${HEAD_BYTES_MAX} bytes`);
    }
    if (end < 0) return false;
    events.push({ kind: "part", part: partOf(this.#rest.toString("utf8", 0, end)) });
    this.#rest = this.#rest.subarray(end + BLANK_LINE.length);
    this.#state = "data";
    return true;
  }
}

function partOf(head: string): FormPart {
  const line = head.split("\r\n").find((each) => /^content-disposition:/i.test(each)) ?? "";
  const name = /;\s*name="([^"]*)"/i.exec(line)?.[1] ?? /;\s*name=([^\s;"]+)/i.exec(line)?.[1];
  if (name === undefined) throw badForm("a part has no name");
  const long = /;\s*filename\*=utf-8''([^\s;]+)/i.exec(line)?.[1];
  const short =
    /;\s*filename="([^"]*)"/i.exec(line)?.[1] ?? /;\s*filename=([^\s;"]+)/i.exec(line)?.[1];
  return {
    name: unescaped(name),
    filename: long === undefined ? short && unescaped(short) : decoded(long),
  };
}

/** Browsers and clients escape quotes and line ends alone. */
const unescaped = (text: string): string =>
  text.replace(/%22/g, '"').replace(/%0d/gi, "\r").replace(/%0a/gi, "\n");

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const badForm = (why: string): ApiError =>
  new ApiError(
    400,
    "invalid_form",
    `The body is not valid multipart/form-data: ${why}. Send fields 'purpose' and 'file'.`,
  );
