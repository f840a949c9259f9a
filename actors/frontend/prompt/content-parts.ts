/**
 * What a turn consists of, where some of it is no text. A dialect keeps each part with its kind and
 * its path in the request; what the model cannot read is refused in one place.
 */
import { ApiError } from "../api/api-error.ts";

export type TextPart = { readonly kind: "text"; readonly text: string };

/** Content that some models read beside text. */
export type MediaPart = {
  readonly kind: "image" | "audio" | "video" | "document";
  readonly source: MediaSource;
  /** Its path in the request: `messages[0].content[1]`. */
  readonly param: string;
};

/** Where its bytes are: in the request in base64, at a URL, or in an uploaded file. */
export type MediaSource =
  | { readonly from: "data"; readonly base64: string; readonly media_type: string | undefined }
  | { readonly from: "url"; readonly url: string }
  | { readonly from: "file"; readonly id: string };

/** A URL, or the bytes that a `data:` URL holds. */
export function urlSource(url: string): MediaSource {
  const match = /^data:([^;,]*)(?:;[^;,]*)*;base64,/i.exec(url);
  if (match === null) return { from: "url", url };
  return { from: "data", base64: url.slice(match[0].length), media_type: match[1] || undefined };
}

export type ContentPart = TextPart | MediaPart;

/**
 * One string where all is text, else its parts.
 * @param joint stands between texts
 */
export function contentOf(
  parts: readonly ContentPart[],
  joint: string,
): string | readonly ContentPart[] {
  if (!parts.every((part) => part.kind === "text")) return parts;
  return parts.map(({ text }) => text).join(joint);
}

const NAMES = {
  image: "a picture",
  audio: "audio",
  video: "a video",
  document: "a document",
} as const;

/** The 400 for what no engine here reads. */
export const unread = (model: string, { kind, param }: MediaPart) =>
  new ApiError(
    400,
    "not_supported",
    `'${param}' is ${NAMES[kind]}, and '${model}' reads text alone. Send its content as text, or leave ` +
      "it out.",
    param,
  );
