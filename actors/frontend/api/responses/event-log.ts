/**
 * The numbered events of one response, and the response that they add up to. An answer that is read
 * again gives the same events with the same numbers, wherever it comes from: a worker's tokens, or
 * the store, which keeps the length of each delta.
 */
import type { AnswerHead } from "../dialect.ts";
import { quoted } from "../openai-format.ts";
import {
  type CallItem,
  type GrowingItem,
  type ItemStatus,
  type Logprob,
  reasoningPart,
  shownItem,
  textPart,
} from "./output-items.ts";
import {
  type ResponseShell,
  type ResponseState,
  type ResponseStatus,
  responseObject,
} from "./response-object.ts";

export type LogHead = Pick<AnswerHead, "id" | "created_s" | "model">;

export class EventLog {
  readonly #head: LogHead;
  readonly #shell: ResponseShell;
  /** The client has the events up to this number. */
  readonly #after: number;
  readonly #output: object[] = [];
  readonly #deltas: number[] = [];
  #events: string[] = [];
  #number = 0;
  #open: GrowingItem | undefined;
  /** Around the number and the text of the open item's deltas. */
  #delta_start = "";
  #delta_middle = "";

  constructor(head: LogHead, shell: ResponseShell, after = -1) {
    this.#head = head;
    this.#shell = shell;
    this.#after = after;
  }

  /** Items that are finished. */
  get output(): readonly object[] {
    return this.#output;
  }

  /** The length of each delta so far, in UTF-16 units. */
  get deltas(): readonly number[] {
    return this.#deltas;
  }

  get open(): GrowingItem | undefined {
    return this.#open;
  }

  /** What came since the last call, as lines of server-sent events. */
  take(): readonly string[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  begin(): void {
    const response = this.response({ status: "in_progress" });
    this.#state("response.created", response);
    this.#state("response.in_progress", response);
  }

  openItem(item: GrowingItem): void {
    this.#open = item;
    const output_index = this.#output.length;
    const shown = shownItem(item, "in_progress", true);
    this.#add("response.output_item.added", { output_index, item: shown });
    const at = { item_id: item.id, output_index };
    if (item.type === "message") {
      const part = { type: "output_text", annotations: [], logprobs: [], text: "" };
      this.#add("response.content_part.added", { ...at, content_index: 0, part });
    } else if (item.type === "reasoning") {
      const part = { type: "reasoning_text", text: "" };
      this.#add("response.content_part.added", { ...at, content_index: 0, part });
    }
    const type = deltaTypes[item.type];
    this.#delta_start = `event: ${type}\ndata: {"type":"${type}","sequence_number":`;
    const index = item.type === "function_call" ? "" : '"content_index":0,';
    this.#delta_middle = `,"item_id":${quoted(item.id)},"output_index":${output_index},${index}"delta":`;
  }

  /** More of the open item. */
  grow(text: string, logprobs?: readonly Logprob[]): void {
    const item = this.#open;
    if (item === undefined) return;
    item.text += text;
    this.#deltas.push(text.length);
    const number = this.#number++;
    const isMessage = item.type === "message";
    if (isMessage && logprobs !== undefined) for (const each of logprobs) item.logprobs.push(each);
    if (number <= this.#after) return;
    const end = isMessage ? `,"logprobs":${logprobs ? JSON.stringify(logprobs) : "[]"}}` : "}";
    this.#events.push(`${this.#delta_start}${number}${this.#delta_middle}${quoted(text)}${end}`);
  }

  closeItem(status: ItemStatus): void {
    const item = this.#open;
    if (item === undefined) return;
    this.#open = undefined;
    const output_index = this.#output.length;
    const at = { item_id: item.id, output_index };
    switch (item.type) {
      case "message": {
        const { text, logprobs } = item;
        const part = textPart(item);
        this.#add("response.output_text.done", { ...at, content_index: 0, text, logprobs });
        this.#add("response.content_part.done", { ...at, content_index: 0, part });
        break;
      }
      case "reasoning": {
        const part = reasoningPart(item);
        const { text } = item;
        this.#add("response.reasoning_text.done", { ...at, content_index: 0, text });
        this.#add("response.content_part.done", { ...at, content_index: 0, part });
        break;
      }
      case "function_call":
        this.#add("response.function_call_arguments.done", argumentsDone(item, at));
    }
    const shown = shownItem(item, status);
    this.#output.push(shown);
    this.#add("response.output_item.done", { output_index, item: shown });
  }

  /** The last event. */
  finish(response: object, status: ResponseStatus): void {
    const isWhole = status === "completed" || status === "incomplete";
    // Of one that has failed, the client may have had more events before.
    if (!isWhole) this.#number = Math.max(this.#number, this.#after + 1);
    this.#state(isWhole ? `response.${status}` : "response.failed", response);
  }

  /** Of the stream and not of the response, which goes on elsewhere: its number is the next one's. */
  error(facts: object): void {
    const sequence_number = this.#number;
    const data = JSON.stringify({ type: "error", sequence_number, ...facts });
    this.#events.push(`event: error\ndata: ${data}`);
  }

  response(state: Omit<ResponseState, "output">): object {
    return responseObject(this.#head, this.#shell, { ...state, output: this.#output });
  }

  #state(type: string, response: object): void {
    this.#add(type, { response });
  }

  #add(type: string, members: object): void {
    const sequence_number = this.#number++;
    if (sequence_number <= this.#after) return;
    const data = JSON.stringify({ type, sequence_number, ...members });
    this.#events.push(`event: ${type}\ndata: ${data}`);
  }
}

const deltaTypes = {
  message: "response.output_text.delta",
  reasoning: "response.reasoning_text.delta",
  function_call: "response.function_call_arguments.delta",
} as const;

const argumentsDone = ({ name, text }: CallItem, at: object) => ({ ...at, name, arguments: text });
