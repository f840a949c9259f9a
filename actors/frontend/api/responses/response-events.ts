/** The pieces of an answer → the events of its response, and the response itself. */
import type { ParsedDelta } from "../../../../llm/parsers/answer-parser.ts";
import type { AnswerEnd, AnswerPiece, AnswerUsage } from "../../../stream/stream.ts";
import { outputId } from "../../kept/item-ids.ts";
import { ChoiceParser, callId } from "../answer-parsing.ts";
import type { ErrorFacts } from "../api-error.ts";
import type { AnswerHead, Events, WholeFormat } from "../dialect.ts";
import { EventLog } from "./event-log.ts";
import { type GrowingItem, type Logprob, logprobOf } from "./output-items.ts";
import {
  type ResponseError,
  type ResponseShell,
  type ResponseStatus,
  responseUsage,
} from "./response-object.ts";

export class ResponseEvents implements WholeFormat {
  readonly #head: AnswerHead;
  readonly #log: EventLog;
  readonly #parser: ChoiceParser | undefined;
  readonly #request: string;
  #begun = false;
  #status: ResponseStatus = "completed";
  #usage: AnswerUsage | undefined;
  #response: object | undefined;

  /** `request`: the server's id of it. */
  constructor(head: AnswerHead, request: string) {
    this.#head = head;
    this.#request = request;
    this.#log = new EventLog(head, (head.shell ?? {}) as ResponseShell, head.after);
    this.#parser = head.parsing && new ChoiceParser(head.parsing);
  }

  /** The length of each delta, by which the store gives the same events again. */
  get deltas(): readonly number[] {
    return this.#log.deltas;
  }

  /** In the background an answer may wait for long, and its client wants to know its id. */
  early(): readonly string[] {
    if ((this.#head.shell as { background?: unknown } | undefined)?.background !== true) return [];
    this.#begin();
    return this.#log.take();
  }

  piece(_choice: number, piece: AnswerPiece): Events {
    this.#take(piece);
    return this.#log.take();
  }

  skip(_choice: number, piece: AnswerPiece): void {
    this.#take(piece);
    this.#log.take();
  }

  /** An answer without a token: its events come with its end. */
  text(): string {
    return "";
  }

  end(_choice: number, end: AnswerEnd): Events {
    this.#begin();
    if (this.#parser !== undefined) this.#takeAll(this.#parser.end(end).deltas, undefined);
    const cut = end.reason === "length";
    if (cut) this.#status = "incomplete";
    if (this.#log.open === undefined && this.#log.output.length === 0) {
      this.#open("message");
    }
    this.#log.closeItem(cut ? "incomplete" : "completed");
    return this.#log.take();
  }

  usage(usage: AnswerUsage): string {
    this.#usage = usage;
    return "";
  }

  done(): string {
    const status = this.#status;
    this.#log.finish(this.response(), status);
    return this.#log.take()[0] ?? "";
  }

  /** A part of it may still come elsewhere: then the stream alone has failed. */
  failed(error: ErrorFacts, resume_path: string | undefined): string {
    const { code, message, param = null } = error;
    if (resume_path === undefined) {
      this.#begin();
      const response = this.#log.response({ status: "failed", error: responseError(error) });
      this.#log.finish(response, "failed");
    } else {
      this.#log.error({ code, message, param, resume: resume_path });
    }
    const events = this.#log.take();
    // All in one, as what comes last has one id.
    return events.join("\n\n");
  }

  response(): object {
    if (this.#response !== undefined) return this.#response;
    const reasoning_tokens = this.#parser?.reasoning_tokens ?? 0;
    const usage = this.#usage && responseUsage(this.#usage, reasoning_tokens);
    const completed_at = this.#status === "completed" ? this.#head.now_s?.() : undefined;
    this.#response = this.#log.response({ status: this.#status, usage, completed_at });
    return this.#response;
  }

  unfinished(status: "queued" | "in_progress"): object {
    return this.#log.response({ status });
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#log.begin();
  }

  #take(piece: AnswerPiece): void {
    this.#begin();
    const logprobs = this.#head.logprobs ? (piece.logprobs ?? []).map(logprobOf) : undefined;
    if (this.#parser === undefined) {
      this.#text("message", piece.text, logprobs);
      return;
    }
    this.#takeAll(this.#parser.push(piece), logprobs);
  }

  #takeAll(deltas: readonly ParsedDelta[], logprobs: readonly Logprob[] | undefined): void {
    let left = logprobs;
    for (let at = 0; at < deltas.length; at += 1) {
      const delta = deltas[at]!;
      switch (delta.kind) {
        case "content":
          this.#text("message", delta.text, left);
          left = undefined;
          break;
        case "reasoning":
          this.#text("reasoning", delta.text, undefined);
          break;
        case "call":
          this.#log.closeItem("completed");
          this.#log.openItem(this.#call(delta));
          break;
        case "arguments":
          if (delta.text !== "") this.#log.grow(delta.text);
          break;
        case "call_end":
          this.#log.closeItem(delta.complete ? "completed" : "incomplete");
      }
    }
  }

  #text(type: "message" | "reasoning", text: string, logprobs: readonly Logprob[] | undefined) {
    if (text === "" && (logprobs === undefined || logprobs.length === 0)) return;
    if (this.#log.open?.type !== type) this.#open(type);
    this.#log.grow(text, logprobs);
  }

  #open(type: "message" | "reasoning"): void {
    this.#log.closeItem("completed");
    const id = outputId(type, this.#request, this.#log.output.length);
    const item: GrowingItem =
      type === "message" ? { type, id, text: "", logprobs: [] } : { type, id, text: "" };
    this.#log.openItem(item);
  }

  #call({ index, id, name }: Extract<ParsedDelta, { kind: "call" }>): GrowingItem {
    const { parsing } = this.#head;
    const call_id = id ?? callId(this.#head.id, 0, index, parsing?.tool ?? "");
    const item = outputId("function_call", this.#request, this.#log.output.length);
    return { type: "function_call", id: item, call_id, name, text: "" };
  }
}

/** OpenAI's codes of failed responses; ours stands in the message's place of an HTTP error. */
export function responseError({ status, message }: ErrorFacts): ResponseError {
  return { code: status === 429 ? "rate_limit_exceeded" : "server_error", message };
}
