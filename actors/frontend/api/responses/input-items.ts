/** Items of a request, read by hand: each error names the part that is wrong. */
import {
  type ContentPart,
  contentOf,
  type MediaSource,
  urlSource,
} from "../../prompt/content-parts.ts";
import { checkText } from "../../prompt/prompt-text.ts";
import { ApiError, clip, invalidType, invalidValue, missingParameter } from "../api-error.ts";

type Given = Readonly<Record<string, unknown>>;

/** An item as the model's conversation needs it. `param`: its path in the request. */
export type ReadItem = { readonly param: string } & (
  | { readonly kind: "message"; readonly role: MessageRole; readonly content: Content }
  | { readonly kind: "reasoning"; readonly text: string }
  | {
      readonly kind: "call";
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    }
  | { readonly kind: "result"; readonly call_id: string; readonly content: Content }
);

type Content = string | readonly ContentPart[];

export type MessageRole = "user" | "assistant" | "system";

const roles: Readonly<Record<string, MessageRole>> = {
  user: "user",
  assistant: "assistant",
  system: "system",
  developer: "system",
};

/** Throws ApiError (400). */
export function readItem(item: Given, param: string): ReadItem {
  const type = item["type"] ?? "message";
  switch (type) {
    case "message": {
      const role = roles[typeof item["role"] === "string" ? item["role"] : ""];
      if (role === undefined) {
        if (item["role"] === undefined) throw missingParameter(`${param}.role`);
        throw invalidValue(
          `'${param}.role' is ${clip(JSON.stringify(item["role"]))}; it is "user", "assistant", ` +
            '"system" or "developer".',
          `${param}.role`,
        );
      }
      const content = readContent(item["content"], `${param}.content`);
      return { kind: "message", role, content, param };
    }
    case "reasoning":
      return { kind: "reasoning", text: reasoningText(item, param), param };
    case "function_call":
      return {
        kind: "call",
        call_id: textOf(item, "call_id", param),
        name: textOf(item, "name", param),
        arguments: textOf(item, "arguments", param),
        param,
      };
    case "function_call_output": {
      const content = readContent(item["output"], `${param}.output`);
      return { kind: "result", call_id: textOf(item, "call_id", param), content, param };
    }
    default:
      throw new ApiError(
        400,
        "not_supported",
        type === "item_reference"
          ? `'${param}.type' is "item_reference", which only the 'input' of a response has. Send the ` +
              "item itself."
          : `'${param}.type' is ${clip(JSON.stringify(type))}, which this server does not have: it ` +
              "takes messages, 'function_call', 'function_call_output', 'reasoning' and, in the " +
              "'input' of a response, 'item_reference'. Leave the item out.",
        `${param}.type`,
      );
  }
}

function textOf(item: Given, name: string, where: string): string {
  const value = item[name];
  const param = `${where}.${name}`;
  if (value === undefined || value === null) throw missingParameter(param);
  if (typeof value !== "string") throw invalidType(`'${param}' is not a string.`, param);
  return checkText(value, param);
}

/** Texts of parts are joined by line breaks, as in chats. */
function readContent(content: unknown, param: string): Content {
  if (typeof content === "string") return checkText(content, param);
  if (content === undefined || content === null) throw missingParameter(param);
  if (!Array.isArray(content)) {
    throw invalidType(
      `Invalid type for '${param}': expected a string or an array of parts.`,
      param,
    );
  }
  return contentOf(
    content.map((part: unknown, i) => partOf(part, `${param}[${i}]`)),
    "\n",
  );
}

const textParts = ["input_text", "output_text", "text", "reasoning_text", "summary_text"];

function partOf(part: unknown, param: string): ContentPart {
  if (typeof part !== "object" || part === null || Array.isArray(part)) {
    throw invalidType(`Invalid type for '${param}': expected an object.`, param);
  }
  const given = part as Given;
  const { type } = given as { readonly type?: unknown };
  if (type === undefined) throw missingParameter(`${param}.type`);
  if (type === "refusal") return { kind: "text", text: textOf(given, "refusal", param) };
  if (typeof type === "string" && textParts.includes(type)) {
    return { kind: "text", text: textOf(given, "text", param) };
  }
  // What is not as it has to be in here is refused with the part, whatever it is.
  const { image_url, file_url, file_data, file_id, input_audio } = given as MediaFields;
  const source = (...urls: unknown[]): MediaSource => {
    const url = urls.find((each) => typeof each === "string");
    if (typeof url === "string") return urlSource(url);
    return { from: "file", id: typeof file_id === "string" ? file_id : "" };
  };
  switch (type) {
    case "input_image":
      return { kind: "image", source: source(image_url), param };
    case "input_file":
      return { kind: "document", source: source(file_data, file_url), param };
    case "input_audio":
      return { kind: "audio", source: source(input_audio?.data), param };
    default:
      throw invalidValue(
        `'${param}.type' is ${clip(JSON.stringify(type))}; send parts of type 'input_text'.`,
        `${param}.type`,
      );
  }
}

type MediaFields = {
  readonly image_url?: unknown;
  readonly file_url?: unknown;
  readonly file_data?: unknown;
  readonly file_id?: unknown;
  readonly input_audio?: { readonly data?: unknown } | null;
};

/** "" for reasoning that is encrypted, which only its maker can read. */
function reasoningText(item: Given, where: string): string {
  for (const name of ["content", "summary"]) {
    const value = item[name];
    if (value === undefined || value === null) continue;
    const text = readContent(value, `${where}.${name}`);
    if (typeof text === "string" && text !== "") return text;
  }
  return "";
}
