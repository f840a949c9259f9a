/** Streams of POST /v1/messages, taken apart and put together by Anthropic's own package. */
import { MessageStream } from "@anthropic-ai/sdk/lib/MessageStream";
import type { Message } from "@anthropic-ai/sdk/resources/messages";

export type MessageEvent = {
  readonly id: string;
  readonly name: string;
  readonly data: { readonly type: string } & Readonly<Record<string, unknown>>;
};

/** Throws where an event is not named as its data says. */
export function messageEvents(text: string): readonly MessageEvent[] {
  const blocks = text.trimEnd().split("\n\n");
  return blocks.map((block) => {
    const match = /^id: (.+)\nevent: (.+)\ndata: (.+)$/.exec(block);
    if (match === null) throw new Error(`no event: ${block}`);
    const [, id = "", name = "", json = ""] = match;
    const data = JSON.parse(json) as MessageEvent["data"];
    if (data.type !== name) throw new Error(`${name} is ${data.type} in its data`);
    return { id, name, data };
  });
}

/** The message as the package's client has it at the end. */
export async function foldedMessage(events: readonly MessageEvent[]): Promise<Message> {
  const lines = events
    .filter(({ name }) => name !== "ping")
    .map(({ data }) => `${JSON.stringify(data)}\n`);
  const body = new Blob(lines).stream();
  const { parsed_output: _, ...message } =
    await MessageStream.fromReadableStream(body).finalMessage();
  return message;
}
