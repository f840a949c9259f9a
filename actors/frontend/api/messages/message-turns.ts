/**
 * Messages in Anthropic's form → the turns of a conversation. A message holds blocks; results of
 * tools stand in the user's messages, and are turns of their own here.
 */
import {
  type ContentPart,
  contentOf,
  type MediaSource,
  urlSource,
} from "../../prompt/content-parts.ts";
import type { Conversation, Turn, TurnCall } from "../../prompt/turns.ts";
import { clip, invalidValue } from "../api-error.ts";
import { notSupported } from "./message-errors.ts";
import {
  asRead,
  type CountBody,
  type MediaBlock,
  type Message,
  type ToolResultBlock,
} from "./messages-fields.ts";

export type MessagesRead = {
  readonly conversation: Conversation;
  /** The last turn is the beginning of the answer. */
  readonly continues: boolean;
};

/** Throws ApiError (400). */
export function readMessages({ system, messages }: CountBody): MessagesRead {
  const turns: Turn[] = [];
  /** What each call is of, as some templates want the name beside its result. */
  const called = new Map<string, string>();
  if (system != null) {
    const content = typeof system === "string" ? system : system.map(({ text }) => text).join("\n");
    if (content !== "") turns.push({ role: "system", content, param: "system" });
  }
  for (const { role, blocks, param } of rounds(messages)) {
    if (role === "system") turns.push(systemTurn(blocks, param));
    else if (role === "user") turns.push(...userTurns(blocks, param, called));
    else turns.push(assistantTurn(blocks, param, called));
  }
  const conversation = {
    ...{ turns, param: "messages" },
    call_place: "the assistant's message with its tool_use block",
  };
  const last = turns.at(-1);
  return { conversation, continues: last?.role === "assistant" && isBeginning(last) };
}

/** A block and its path in the request. */
type PlacedBlock = { readonly block: { readonly type: string }; readonly param: string };

type Round = {
  readonly role: Message["role"];
  readonly blocks: PlacedBlock[];
  /** Of its first message's content. */
  readonly param: string;
};

/** Neighbours of one role are one round. */
function rounds(messages: readonly Message[]): readonly Round[] {
  const found: Round[] = [];
  messages.forEach(({ role, content }, i) => {
    const param = `messages[${i}].content`;
    const blocks =
      typeof content === "string"
        ? [{ block: { type: "text", text: content }, param }]
        : content.map((block, j) => ({ block, param: `${param}[${j}]` }));
    const last = found.at(-1);
    if (last?.role === role) last.blocks.push(...blocks);
    else found.push({ role, blocks, param });
  });
  return found;
}

const joined = (parts: readonly ContentPart[]) => contentOf(parts, "\n");

function systemTurn(blocks: readonly PlacedBlock[], param: string): Turn {
  const place = "a message of the system";
  return { role: "system", content: joined(blocks.map((each) => partIn(each, place))), param };
}

/** Texts between results stay in their place. */
function userTurns(
  blocks: readonly PlacedBlock[],
  param: string,
  called: ReadonlyMap<string, string>,
): readonly Turn[] {
  const turns: Turn[] = [];
  let parts: ContentPart[] = [];
  const flush = () => {
    if (parts.length > 0) turns.push({ role: "user", content: joined(parts), param });
    parts = [];
  };
  for (const placed of blocks) {
    const read = asRead(placed.block);
    if (read?.type === "tool_result") {
      flush();
      turns.push(resultTurn(read, placed.param, called.get(read.tool_use_id)));
    } else parts.push(partIn(placed, "a message of the user"));
  }
  flush();
  return turns.length > 0 ? turns : [{ role: "user", content: "", param }];
}

function resultTurn(result: ToolResultBlock, param: string, name: string | undefined): Turn {
  const { tool_use_id: id, content, is_error } = result;
  const blocks = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  const parts = blocks.map((block, i) =>
    partIn({ block, param: `${param}.content[${i}]` }, "a tool's result"),
  );
  const read = joined(parts);
  return {
    role: "tool",
    content: is_error === true && typeof read === "string" ? asError(read) : read,
    name,
    answers: { id, param: `${param}.tool_use_id` },
    param: `${param}.content`,
  };
}

/** Templates have no other place to say that a tool failed. */
const asError = (text: string): string =>
  /^\s*(?:error|<tool_use_error>)/i.test(text) ? text : `Error: ${text}`;

/** Its texts are joined as they are, as an answer's text is cut where reasoning or a call stands. */
function assistantTurn(
  blocks: readonly PlacedBlock[],
  param: string,
  called: Map<string, string>,
): Turn {
  let content = "";
  const thoughts: string[] = [];
  const calls: TurnCall[] = [];
  for (const { block, param: at } of blocks) {
    const read = asRead(block);
    switch (read?.type) {
      case "text":
        content += read.text;
        break;
      case "thinking":
        thoughts.push(read.thinking);
        break;
      case "tool_use": {
        const { id, name, input } = read;
        called.set(id, name);
        const params = { param: `${at}.id`, arguments_param: `${at}.input` };
        calls.push({ id, name, arguments: JSON.stringify(input), ...params });
        break;
      }
      case "redacted_thinking":
        // Nobody but the server that made it can read it.
        break;
      default:
        throw notHere(block, at, "a message of the assistant");
    }
  }
  return {
    role: "assistant",
    content,
    reasoning: thoughts.length === 0 ? undefined : thoughts.join("\n"),
    ...(calls.length === 0 ? {} : { calls }),
    param,
  };
}

/** Throws ApiError (400) for what is no content. */
function partIn({ block, param }: PlacedBlock, place: string): ContentPart {
  const read = asRead(block);
  switch (read?.type) {
    case "text":
      return { kind: "text", text: read.text };
    case "image":
    case "document":
    case "audio":
      return { kind: read.type, source: sourceOf(read.source), param };
    default:
      throw notHere(block, param, place);
  }
}

function sourceOf(source: MediaBlock["source"]): MediaSource {
  const { data, media_type, url, file_id } = source ?? {};
  if (file_id != null) return { from: "file", id: file_id };
  if (url != null) return urlSource(url);
  return { from: "data", base64: data ?? "", media_type: media_type ?? undefined };
}

const notHere = ({ type }: { readonly type: string }, param: string, place: string) =>
  notSupported(
    `'${param}' is of the type '${clip(type)}', which has no meaning in ${place} here. Texts, thinking, ` +
      "tool_use and tool_result blocks are taken; what Anthropic's own tools wrote has to be left out.",
    param,
  );

/** Throws ApiError (400) for a last turn that no answer can go on with. */
function isBeginning({ content, calls, param }: Turn): boolean {
  // The assistant's content is always text.
  if (typeof content !== "string") return false;
  if (calls !== undefined) {
    throw invalidValue(
      `'${param}' has calls of tools and is the last message. Send their results behind it.`,
      param,
    );
  }
  if (content === "") {
    throw invalidValue(
      `'${param}' has no text, and the answer goes on with the last message. Leave the message out.`,
      param,
    );
  }
  if (content.trimEnd() === content) return true;
  throw invalidValue(
    `'${param}' ends with white space, and the answer goes on with it; models do not write on ` +
      "behind it well. Cut it off.",
    param,
  );
}
