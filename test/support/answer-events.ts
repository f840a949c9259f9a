/** What the events and bodies of each API say of an answer, for a client that trusts none of it. */

export type AnswerPath =
  | "/v1/chat/completions"
  | "/v1/completions"
  | "/v1/responses"
  | "/v1/messages";

export type Said =
  | { readonly kind: "text"; readonly choice: number; readonly text: string }
  /** The whole text so far, said once more. */
  | { readonly kind: "whole"; readonly choice: number; readonly text: string }
  | { readonly kind: "finish"; readonly choice: number; readonly finish_reason: string }
  | { readonly kind: "usage"; readonly completion_tokens: number }
  /** By which a stored stream is taken up; `response` is its id, where the event says it. */
  | { readonly kind: "number"; readonly number: number; readonly response: string | undefined }
  /** It is still made: ask again. */
  | { readonly kind: "wait"; readonly response: string }
  | { readonly kind: "end" }
  /** `resumes`: this stream alone is over. */
  | { readonly kind: "error"; readonly code: string; readonly resumes: boolean };

type ErrorBody = {
  readonly code?: string;
  readonly resume?: string;
  readonly details?: { readonly error_code: string; readonly resume?: string };
};
type Choice = {
  readonly index: number;
  readonly delta?: { readonly content?: string };
  readonly message?: { readonly content: string };
  readonly text?: string;
  readonly finish_reason?: string | null;
};
type Chunk = {
  readonly choices?: readonly Choice[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: ErrorBody;
};
type ResponseObject = {
  readonly id: string;
  readonly status: string;
  readonly error: ErrorBody | null;
  readonly output: readonly { readonly content: readonly { readonly text: string }[] }[];
  readonly usage: { readonly output_tokens: number } | null;
};
type ResponseEvent = {
  readonly type: string;
  readonly sequence_number: number;
  readonly delta?: string;
  readonly text?: string;
  readonly response?: ResponseObject;
  readonly code?: string;
  readonly resume?: string;
};
type Block = { readonly type: string; readonly text?: string };
type MessageFacts = {
  readonly stop_reason: string;
  readonly usage: { readonly output_tokens: number };
};
type Message = MessageFacts & { readonly content: readonly Block[] };
type MessageEvent = {
  readonly type: string;
  readonly delta?: Block & Pick<MessageFacts, "stop_reason">;
  readonly usage?: MessageFacts["usage"];
  readonly error?: ErrorBody;
};

/** Of one event's data. */
export function saidByEvent(path: AnswerPath, data: string): readonly Said[] {
  if (path === "/v1/responses") return responseSaid(JSON.parse(data) as ResponseEvent);
  if (path === "/v1/messages") return messageSaid(JSON.parse(data) as MessageEvent);
  return data === "[DONE]" ? [{ kind: "end" }] : chunkSaid(JSON.parse(data) as Chunk);
}

/** Of a body with status 200. */
export function saidByBody(path: AnswerPath, body: string): readonly Said[] {
  if (path === "/v1/responses") return wholeResponse(JSON.parse(body) as ResponseObject);
  if (path === "/v1/messages") {
    const { content, ...facts } = JSON.parse(body) as Message;
    const text = content.map((block) => block.text ?? "").join("");
    return [{ kind: "text", choice: 0, text }, ...stopSaid(facts), { kind: "end" }];
  }
  return [...chunkSaid(JSON.parse(body) as Chunk), { kind: "end" }];
}

/** Of a body with another status; "": it is no error of ours. */
export function codeOf(body: string): string {
  try {
    return errorCode((JSON.parse(body) as Chunk).error);
  } catch {
    return "";
  }
}

const errorCode = (error: ErrorBody | undefined): string =>
  error?.details?.error_code ?? error?.code ?? "";

function errorSaid(error: ErrorBody): Said {
  const resumes = (error.resume ?? error.details?.resume) !== undefined;
  return { kind: "error", code: errorCode(error), resumes };
}

function chunkSaid({ choices, usage, error }: Chunk): readonly Said[] {
  if (error !== undefined) return [errorSaid(error)];
  const said: Said[] = [];
  for (const { index: choice, delta, message, text, finish_reason } of choices ?? []) {
    said.push({ kind: "text", choice, text: delta?.content ?? message?.content ?? text ?? "" });
    if (finish_reason != null) said.push({ kind: "finish", choice, finish_reason });
  }
  if (usage != null) said.push({ kind: "usage", completion_tokens: usage.completion_tokens });
  return said;
}

function responseSaid(event: ResponseEvent): readonly Said[] {
  const { type, sequence_number: number, delta, text, response } = event;
  if (type === "error") return [errorSaid(event)];
  const said: Said[] = [{ kind: "number", number, response: response?.id }];
  if (type === "response.output_text.delta") said.push({ kind: "text", choice: 0, text: delta! });
  else if (type === "response.output_text.done") {
    said.push({ kind: "whole", choice: 0, text: text! });
  } else if (/^response\.(completed|incomplete|failed)$/.test(type)) {
    said.push(...responseEnd(response!));
  }
  return said;
}

const textOf = ({ output }: ResponseObject): string =>
  output.flatMap(({ content }) => content.map(({ text }) => text)).join("");

function responseEnd(response: ResponseObject): readonly Said[] {
  const { status, error, usage } = response;
  if (status !== "completed" && status !== "incomplete") {
    return [{ kind: "error", code: error?.code ?? status, resumes: false }];
  }
  const finish_reason = status === "completed" ? "stop" : "length";
  return [
    { kind: "whole", choice: 0, text: textOf(response) },
    { kind: "finish", choice: 0, finish_reason },
    { kind: "usage", completion_tokens: usage?.output_tokens ?? -1 },
    { kind: "end" },
  ];
}

function wholeResponse(response: ResponseObject): readonly Said[] {
  const { status, id } = response;
  if (status === "queued" || status === "in_progress") return [{ kind: "wait", response: id }];
  return [{ kind: "text", choice: 0, text: textOf(response) }, ...responseEnd(response)];
}

function messageSaid({ type, delta, usage, error }: MessageEvent): readonly Said[] {
  switch (type) {
    case "error":
      return [errorSaid(error!)];
    case "content_block_delta":
      return [{ kind: "text", choice: 0, text: delta!.text! }];
    case "message_delta":
      return stopSaid({ stop_reason: delta!.stop_reason, usage: usage! });
    case "message_stop":
      return [{ kind: "end" }];
    default:
      return [];
  }
}

function stopSaid({ stop_reason, usage }: MessageFacts): readonly Said[] {
  const finish_reason = stop_reason === "max_tokens" ? "length" : "stop";
  return [
    { kind: "finish", choice: 0, finish_reason },
    { kind: "usage", completion_tokens: usage.output_tokens },
  ];
}
