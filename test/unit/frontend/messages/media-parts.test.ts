/** Pictures, audio and documents: kept with their kind and place, and refused by one 400 each. */
import { expect, test } from "bun:test";
import { chatShape } from "../../../../actors/frontend/api/chat/chat-fields.ts";
import { conversationOf } from "../../../../actors/frontend/api/chat/chat-turns.ts";
import { checkShape } from "../../../../actors/frontend/api/check-body.ts";
import { readMessages } from "../../../../actors/frontend/api/messages/message-turns.ts";
import { countShape } from "../../../../actors/frontend/api/messages/messages-fields.ts";
import type { MediaPart } from "../../../../actors/frontend/prompt/content-parts.ts";
import { parsedDoor } from "../../../support/worlds/parsed-door.ts";

type Given = Readonly<Record<string, unknown>>;
type Kept = Pick<MediaPart, "kind" | "source">;

const text = { type: "text", text: "What is it?" };
const PNG = "data:image/png;base64,AAAA";
const png = { from: "data", base64: "AAAA", media_type: "image/png" } as const;
const web = { from: "url", url: "https://x/y" } as const;

const chatParts: readonly (readonly [part: Given, kept: Kept])[] = [
  [
    { type: "image_url", image_url: { url: PNG, detail: "low" } },
    { kind: "image", source: png },
  ],
  [
    { type: "image_url", image_url: { url: web.url } },
    { kind: "image", source: web },
  ],
  [
    { type: "video_url", video_url: { url: web.url } },
    { kind: "video", source: web },
  ],
  [
    { type: "audio_url", audio_url: { url: web.url } },
    { kind: "audio", source: web },
  ],
  [
    { type: "input_audio", input_audio: { data: "AA", format: "wav" } },
    { kind: "audio", source: { from: "data", base64: "AA", media_type: "audio/wav" } },
  ],
  [
    { type: "file", file: { file_id: "f" } },
    { kind: "document", source: { from: "file", id: "f" } },
  ],
  // Whatever is wrong with it: it is a picture.
  [
    { type: "image_url", image_url: 7 },
    { kind: "image", source: { from: "url", url: "" } },
  ],
];

const base64 = { type: "base64", media_type: "image/png", data: "AAAA" };
const messageParts: readonly (readonly [part: Given, kept: Kept])[] = [
  [
    { type: "image", source: base64 },
    { kind: "image", source: png },
  ],
  [
    { type: "image", source: { type: "url", url: web.url } },
    { kind: "image", source: web },
  ],
  [
    { type: "document", source: { type: "file", file_id: "f" } },
    { kind: "document", source: { from: "file", id: "f" } },
  ],
  [
    { type: "audio" },
    { kind: "audio", source: { from: "data", base64: "", media_type: undefined } },
  ],
];

const routes = [
  ["/v1/chat/completions", chatParts],
  ["/v1/messages", messageParts],
] as const;

const bodyOf = (part: Given) => ({
  ...{ model: "toy", max_tokens: 5 },
  messages: [{ role: "user", content: [text, part] }],
});

for (const [path, parts] of routes) {
  for (const [part, kept] of parts) {
    test(`${path} keeps ${JSON.stringify(part)} and refuses it by name`, async () => {
      const body = bodyOf(part);
      const { turns } =
        path === "/v1/messages"
          ? readMessages(checkShape(body, countShape)).conversation
          : conversationOf(checkShape(body, chatShape).messages);
      const param = "messages[0].content[1]";
      expect(turns[0]?.content).toEqual([
        { kind: "text", text: text.text },
        { ...kept, param },
      ]);
      const door = parsedDoor({ tool: "none", reasoning: "none" });
      const response = await door.ask("POST", path, body);
      expect(response.status).toBe(400);
      const { error } = (await response.json()) as { error: Given & { details?: Given } };
      const { code = error.details?.["error_code"], param: named = error.details?.["param"] } =
        error;
      expect([code, named]).toEqual(["not_supported", param]);
      expect(error["message"]).toContain("'toy' reads text alone");
    });
  }
}
