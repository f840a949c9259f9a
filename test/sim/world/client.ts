/**
 * A client of the simulated cluster and what it holds against it: each token once and in order,
 * exactly the text that was to come, one end, and never a hang. A stream that breaks is taken up
 * again where it was lost, as EventSource does; a request with an idempotency key is sent again.
 */
import type { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { type Exchange, REFUSED, type SimulatedHttp } from "./http.ts";
import { bodyOf, type ClientRequest, type ExpectedChoice, type Oracle } from "./request.ts";

/** How a client behaves beside reading. */
export type Manner =
  | { readonly kind: "plain" }
  | { readonly kind: "hang_up" | "vanish"; readonly after_ms: number }
  /** Reads nothing for so long after each chunk. */
  | { readonly kind: "slow"; readonly pause_ms: number };

export type Outcome =
  | { readonly kind: "complete" }
  /** It was told that it failed: a status with an error body, or an error event. */
  | { readonly kind: "error"; readonly status: number; readonly code: string }
  /** The connection broke, and there was no way to take the answer up again. */
  | { readonly kind: "broken"; readonly why: string }
  | { readonly kind: "left" };

export type ClientOptions = {
  readonly port: number;
  readonly request: ClientRequest;
  readonly manner: Manner;
  readonly idempotency_key: string;
  readonly resumes: boolean;
  /** Whose turn it is. */
  readonly session?: string;
};

type Got = { text: string; delivered: number; finish_reason: string | undefined };

const decoder = () => new TextDecoder("utf-8", { fatal: true });
/** Between two tries of a client whose connection broke, and how often it tries. */
const retry_ms = 300;
const retriesMax = 40;

export class Client {
  readonly options: ClientOptions;
  readonly began_ms: number;
  ended_ms = Number.NaN;
  outcome: Outcome | undefined;
  /** What it holds against the cluster; the first one counts. */
  complaint: string | undefined;
  resumed = 0;
  longest_gap_ms = 0;
  /** Nodes that held its connection, in order. */
  readonly frontends: string[] = [];
  readonly #http: SimulatedHttp;
  readonly #clock: VirtualClock;
  readonly #expected: readonly ExpectedChoice[];
  readonly #got: Got[];
  #exchange: Exchange | undefined;
  #status = 0;
  #body = "";
  #events = "";
  #decoder = decoder();
  #last_id = "";
  #usage: { completion_tokens: number } | undefined;
  #done = false;
  #tries = 0;
  #last_ms: number;

  constructor(http: SimulatedHttp, oracle: Oracle, options: ClientOptions) {
    const { request } = options;
    this.options = options;
    this.#http = http;
    this.#clock = http.clock;
    this.began_ms = http.clock.now_ms();
    this.#last_ms = this.began_ms;
    const choices = Array.from({ length: request.choices }, (_, choice) => choice);
    this.#expected = choices.map((choice) => oracle.choice(request, choice));
    this.#got = choices.map(() => ({ text: "", delivered: 0, finish_reason: undefined }));
    this.#send();
    const { manner } = options;
    if (manner.kind !== "hang_up" && manner.kind !== "vanish") return;
    this.#clock.after(manner.after_ms, () => {
      if (this.outcome !== undefined) return;
      if (manner.kind === "vanish") this.#exchange?.vanish();
      else this.#exchange?.close();
      this.#end({ kind: "left" });
    });
  }

  get request_id(): string {
    return this.#last_id.slice(0, this.#last_id.lastIndexOf(":"));
  }

  get tokens(): number {
    return this.#got.reduce((sum, got) => sum + got.delivered, 0);
  }

  /** For a person. */
  get story(): string {
    const { request, manner } = this.options;
    const { name, path, stream, choices, max_tokens, stop } = request;
    const span = `${Math.round(this.began_ms)}-${Math.round(this.ended_ms)} ms`;
    const what = `${path}${stream ? " streamed" : ""} n=${choices} max=${max_tokens} ${stop}`;
    const end = JSON.stringify(this.outcome);
    return `${name} ${span} ${what} ${manner.kind} at ${this.frontends.join()}: ${end}`;
  }

  #send(): void {
    const { request, idempotency_key, port, session } = this.options;
    this.#open(port, {
      method: "POST",
      path: request.path,
      headers: {
        "content-type": "application/json",
        ...(idempotency_key === "" ? {} : { "idempotency-key": idempotency_key }),
        ...(session === undefined ? {} : { "x-dynamo-session-id": session }),
      },
      body: bodyOf(request),
    });
  }

  #resume(): void {
    this.resumed++;
    const headers = { "last-event-id": this.#last_id };
    const path = `/v1/streams/${encodeURIComponent(this.request_id)}`;
    this.#open(this.options.port, { method: "GET", path, headers });
  }

  #open(port: number, request: Parameters<SimulatedHttp["request"]>[1]): void {
    this.#status = 0;
    this.#body = "";
    this.#events = "";
    this.#decoder = decoder();
    const exchange: Exchange = this.#http.request(port, request, {
      head: (status) => {
        this.#status = status;
        this.#moved();
      },
      data: (bytes) => {
        this.#moved();
        this.#data(bytes);
        this.#slowDown(exchange);
      },
      ended: () => this.#bodyEnded(),
      failed: (why) => this.#broke(why),
    });
    this.#exchange = exchange;
    this.frontends.push(exchange.process?.node ?? "nobody");
  }

  #moved(): void {
    const now_ms = this.#clock.now_ms();
    this.longest_gap_ms = Math.max(this.longest_gap_ms, now_ms - this.#last_ms);
    this.#last_ms = now_ms;
  }

  #slowDown(exchange: Exchange): void {
    const { manner } = this.options;
    if (manner.kind !== "slow") return;
    exchange.pause();
    this.#clock.after(manner.pause_ms, () => exchange.resume());
  }

  #data(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (this.#status !== 200 || !this.options.request.stream) {
      this.#body += text;
      return;
    }
    this.#events += text;
    for (;;) {
      const end = this.#events.indexOf("\n\n");
      if (end < 0 || this.outcome !== undefined) return;
      const event = this.#events.slice(0, end);
      this.#events = this.#events.slice(end + 2);
      if (!event.startsWith(":")) this.#event(event);
    }
  }

  #event(event: string): void {
    const match = /^id: (.*)\ndata: (.*)$/.exec(event);
    if (match === null) {
      this.#complain(`not an event: ${event}`);
      return;
    }
    const [, id = "", data = ""] = match;
    if (this.#last_id !== "" && id.split(":")[0] !== this.request_id) {
      this.#complain(`the id changed from ${this.#last_id} to ${id}`);
    }
    this.#last_id = id;
    if (data === "[DONE]") {
      this.#done = true;
      return;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error !== undefined) {
      // The stream ends now, and is taken up again as any that breaks.
      if (chunk.error.resume !== undefined && this.options.resumes) return;
      this.#end({ kind: "error", status: 200, code: chunk.error.code });
      return;
    }
    for (const each of chunk.choices ?? []) this.#choice(each);
    // Opaque to clients, but for this one: counts with letters, then where the rest is.
    const [counts = ""] = id.slice(id.lastIndexOf(":") + 1).split(/[@u]/);
    for (const [choice, part] of counts.split(".").entries()) {
      this.#cursor(choice, Number(part.replace(/[bf]$/, "")));
    }
    if (chunk.usage != null) this.#usage = chunk.usage;
  }

  #choice({ index, delta, text, finish_reason }: ChunkChoice): void {
    const got = this.#got[index];
    const expected = this.#expected[index];
    if (got === undefined || expected === undefined) {
      this.#complain(`choice ${index}`);
      return;
    }
    const added = delta?.content ?? text ?? "";
    if (added !== "" && got.finish_reason !== undefined) {
      this.#complain(`choice ${index} goes on after its end`);
    }
    got.text += added;
    if (!expected.text.startsWith(got.text)) {
      this.#complain(
        `choice ${index}: got ${JSON.stringify(got.text.slice(-30))} where ` +
          `${JSON.stringify(expected.text.slice(0, got.text.length).slice(-30))} was to come`,
      );
    }
    if (finish_reason == null) return;
    if (got.finish_reason !== undefined) this.#complain(`choice ${index} ends twice`);
    got.finish_reason = finish_reason;
  }

  /** The cursor says how many tokens the text so far is; it never goes back. */
  #cursor(choice: number, delivered: number): void {
    const got = this.#got[choice];
    const expected = this.#expected[choice];
    if (got === undefined || expected === undefined) {
      this.#complain(`cursor of ${choice}`);
      return;
    }
    if (!(delivered >= got.delivered && delivered <= expected.pieces.length)) {
      this.#complain(`choice ${choice}: the cursor goes from ${got.delivered} to ${delivered}`);
    }
    got.delivered = delivered;
    if (this.options.request.stop !== "") return;
    const text = expected.pieces.slice(0, delivered).join("");
    if (text !== got.text) {
      this.#complain(`choice ${choice}: ${delivered} tokens are "${text}", not "${got.text}"`);
    }
  }

  #bodyEnded(): void {
    if (this.outcome !== undefined) return;
    if (this.#status !== 200) this.#refused();
    else if (this.options.request.stream) {
      if (this.#done) this.#checkWhole();
      else this.#broke("the stream ended without an end");
    } else this.#whole();
  }

  #refused(): void {
    let code = "";
    try {
      code = (JSON.parse(this.#body) as Chunk).error?.code ?? "";
    } catch {
      // Said below.
    }
    if (code === "") this.#complain(`status ${this.#status} without an error: ${this.#body}`);
    this.#end({ kind: "error", status: this.#status, code });
  }

  #whole(): void {
    const body = JSON.parse(this.#body) as Chunk;
    for (const { index, message, text, finish_reason } of body.choices ?? []) {
      this.#choice({ index, text: message?.content ?? text ?? "", finish_reason });
    }
    if (body.usage != null) this.#usage = body.usage;
    this.#checkWhole();
  }

  #checkWhole(): void {
    let tokens = 0;
    for (const [choice, expected] of this.#expected.entries()) {
      const got = this.#got[choice];
      tokens += expected.pieces.length;
      if (got?.text !== expected.text) {
        this.#complain(`choice ${choice} is "${got?.text}" instead of "${expected.text}"`);
      }
      if (got?.finish_reason !== expected.finish_reason) {
        this.#complain(`choice ${choice} ended with ${got?.finish_reason}`);
      }
    }
    if (this.#usage?.completion_tokens !== tokens) {
      this.#complain(`usage says ${this.#usage?.completion_tokens} tokens, not ${tokens}`);
    }
    this.#end({ kind: "complete" });
  }

  /** Without an end: a stream can be taken up again, a keyed request can be sent again. */
  #broke(why: string): void {
    if (this.outcome !== undefined) return;
    // Only the end of the connection is missing, which no client waits for.
    if (this.#done) {
      this.#checkWhole();
      return;
    }
    const { request, resumes, idempotency_key } = this.options;
    // Nobody listened, so nothing was asked for yet.
    const refused = why === REFUSED && this.#last_id === "";
    const resumable = request.stream && this.#last_id !== "" && resumes;
    const repeatable = this.#last_id === "" && idempotency_key !== "";
    if (!(resumable || repeatable || refused) || ++this.#tries > retriesMax) {
      this.#end({ kind: "broken", why });
      return;
    }
    this.#clock.after(retry_ms, () => {
      if (this.outcome !== undefined) return;
      if (resumable) this.#resume();
      else this.#send();
    });
  }

  #complain(what: string): void {
    this.complaint ??= what;
  }

  #end(outcome: Outcome): void {
    if (this.outcome !== undefined) return;
    this.#moved();
    this.outcome = outcome;
    this.ended_ms = this.#clock.now_ms();
    if (outcome.kind === "error") this.#exchange?.close();
  }
}

type ChunkChoice = {
  readonly index: number;
  readonly delta?: { readonly content?: string };
  readonly message?: { readonly content: string };
  readonly text?: string;
  readonly finish_reason?: string | null;
};
type Chunk = {
  readonly choices?: readonly ChunkChoice[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly code: string; readonly resume?: string };
};
