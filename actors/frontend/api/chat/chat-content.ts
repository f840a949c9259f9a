/** The parts of a chat message's content: their shapes, and what they are to all dialects. */
import { z } from "zod";
import { type ContentPart, contentOf, urlSource } from "../../prompt/content-parts.ts";
import { checkText } from "../../prompt/prompt-text.ts";

/** What is not as it has to be in here is refused with the part, whatever it is. */
const url = z.object({ url: z.string() }).catch({ url: "" });
const audio = z
  .object({ data: z.string(), format: z.string().nullish() })
  .catch({ data: "", format: undefined });
const file = z
  .object({ file_data: z.string().nullish(), file_id: z.string().nullish() })
  .catch({ file_data: undefined, file_id: undefined });

const part = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text"), text: z.string() }),
    z.object({ type: z.literal("refusal"), refusal: z.string() }),
    z.object({ type: z.literal("image_url"), image_url: url }),
    z.object({ type: z.literal("audio_url"), audio_url: url }),
    z.object({ type: z.literal("video_url"), video_url: url }),
    z.object({ type: z.literal("input_audio"), input_audio: audio }),
    z.object({ type: z.literal("file"), file }),
  ],
  { error: "expected text" },
);
type ChatPart = z.infer<typeof part>;

export const chatContent = z.union([z.string(), z.array(part)], {
  error: "expected a string or an array of parts",
});

/** Texts are joined by line breaks. Throws ApiError (400). */
export const readContent = (content: z.infer<typeof chatContent>, param: string) =>
  typeof content === "string"
    ? checkText(content, param)
    : contentOf(
        content.map((each, i) => partOf(each, `${param}[${i}]`)),
        "\n",
      );

function partOf(given: ChatPart, param: string): ContentPart {
  switch (given.type) {
    case "text":
      return { kind: "text", text: checkText(given.text, param) };
    case "refusal":
      return { kind: "text", text: checkText(given.refusal, param) };
    case "image_url":
      return { kind: "image", source: urlSource(given.image_url.url), param };
    case "audio_url":
      return { kind: "audio", source: urlSource(given.audio_url.url), param };
    case "video_url":
      return { kind: "video", source: urlSource(given.video_url.url), param };
    case "input_audio": {
      const { data: base64, format } = given.input_audio;
      const media_type = format == null ? undefined : `audio/${format}`;
      return { kind: "audio", source: { from: "data", base64, media_type }, param };
    }
    case "file": {
      const { file_data, file_id } = given.file;
      const source =
        file_id == null ? urlSource(file_data ?? "") : ({ from: "file", id: file_id } as const);
      return { kind: "document", source, param };
    }
  }
}
