/**
 * A client of the simulated cluster and what it holds against it: each token once and in order,
 * exactly the text that was to come, one end, and never a hang. A stream that breaks is taken up
 * again where it was lost, as EventSource does, or behind the last number of a stored response; a
 * request with an idempotency key is sent again. What was stored is read once more at the end.
 */
import type { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { codeOf, type Said, saidByBody, saidByEvent } from "../../support/answer-events.ts";
import { type Exchange, REFUSED, type SimulatedHttp } from "./http.ts";
import { bodyOf, type ClientRequest, type Oracle } from "./request.ts";
import { TakenAnswer } from "./taken-answer.ts";

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

const decoder = () => new TextDecoder("utf-8", { fatal: true });
/** Between two tries of a client whose connection broke, and how often it tries. */
const retry_ms = 300;
const retriesMax = 40;
/** Between two looks at a response in the background. */
const look_ms = 400;

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
  readonly #taken: TakenAnswer;
  #exchange: Exchange | undefined;
  #status = 0;
  #body = "";
  #events = "";
  #decoder = decoder();
  #last_id = "";
  #done = false;
  /** Id of a response, once it is known, and the number of its last event. */
  #response = "";
  #number = -1;
  /** What the exchange under way is for. */
  #asks: "answer" | "rest" | "stored" = "answer";
  #tries = 0;
  #last_ms: number;

  constructor(http: SimulatedHttp, oracle: Oracle, options: ClientOptions) {
    const { request } = options;
    this.options = options;
    this.#http = http;
    this.#clock = http.clock;
    this.began_ms = http.clock.now_ms();
    this.#last_ms = this.began_ms;
    this.#taken = new TakenAnswer(request, oracle, (what) => this.#complain(what));
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

  /** It has something of an answer that it can take up again. */
  get begun(): boolean {
    const { stream, kept } = this.options.request;
    if (this.#response !== "" && kept !== undefined) return true;
    return stream && this.#last_id !== "";
  }

  get tokens(): number {
    return this.#taken.tokens;
  }

  /** For a person. */
  get story(): string {
    const { request, manner } = this.options;
    const { name, path, stream, choices, max_tokens, stop, form, kept } = request;
    const span = `${Math.round(this.began_ms)}-${Math.round(this.ended_ms)} ms`;
    const how = `${stream ? " streamed" : ""}${kept ? ` ${kept}` : ""}${form === undefined ? "" : ` form ${form}`}`;
    const what = `${path}${how} n=${choices} max=${max_tokens} ${stop}`;
    const end = JSON.stringify(this.outcome);
    return `${name} ${span} ${what} ${manner.kind} at ${this.frontends.join()}: ${end}`;
  }

  #send(): void {
    this.#asks = "answer";
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
    this.#asks = "rest";
    const { request, port } = this.options;
    if (request.by_number === true) {
      const behind = `stream=true&starting_after=${this.#number}`;
      this.#open(port, { method: "GET", path: `/v1/responses/${this.#response}?${behind}` });
      return;
    }
    const headers = { "last-event-id": this.#last_id };
    const path = `/v1/streams/${encodeURIComponent(this.request_id)}`;
    this.#open(port, { method: "GET", path, headers });
  }

  /** A response in the background at its end, or any that was stored. */
  #readStored(): void {
    const path = `/v1/responses/${this.#response}`;
    this.#asks = "stored";
    this.#open(this.options.port, { method: "GET", path });
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
    const streams = this.options.request.stream && this.#asks !== "stored";
    if (this.#status !== 200 || !streams) {
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
    const match = /^(?:id: (.*)\n)?(?:event: .*\n)?data: (.*)$/.exec(event);
    const { path } = this.options.request;
    // What the store gives again has numbers alone, as has what comes before the first token.
    if (match === null || (match[1] === undefined && path !== "/v1/responses")) {
      this.#complain(`not an event: ${event}`);
      return;
    }
    const [, id, data = ""] = match;
    if (id !== undefined && this.#last_id !== "" && id.split(":")[0] !== this.request_id) {
      this.#complain(`the id changed from ${this.#last_id} to ${id}`);
    }
    if (id !== undefined) this.#last_id = id;
    for (const said of saidByEvent(path, data)) {
      if (said.kind === "error" && said.resumes && this.options.resumes) return;
      this.#take(said);
      if (this.#done || this.outcome !== undefined) return;
    }
    if (id !== undefined) this.#taken.cursors(id);
  }

  #take(said: Said): void {
    switch (said.kind) {
      case "number":
        if (said.number !== this.#number + 1) {
          this.#complain(`event ${said.number} comes behind event ${this.#number}`);
        }
        this.#number = said.number;
        if (said.response !== undefined) this.#response = said.response;
        return;
      case "wait":
        this.#response = said.response;
        return;
      case "end":
        this.#done = true;
        return;
      case "error":
        this.#end({ kind: "error", status: 200, code: said.code });
        return;
      default:
        this.#taken.take(said);
    }
  }

  #bodyEnded(): void {
    if (this.outcome !== undefined) return;
    const { stream } = this.options.request;
    if (this.#status !== 200) this.#refused();
    else if (this.#asks === "stored") this.#stored();
    else if (!stream) this.#whole();
    else if (this.#done) this.#checkWhole();
    else this.#broke("the stream ended without an end");
  }

  #refused(): void {
    const code = codeOf(this.#body);
    if (code === "") this.#complain(`status ${this.#status} without an error: ${this.#body}`);
    // Of what is stored nothing is lost: it is asked for again.
    if (this.#asks === "stored" && this.#status === 503) this.#broke(code);
    else this.#end({ kind: "error", status: this.#status, code });
  }

  #whole(): void {
    for (const said of saidByBody(this.options.request.path, this.#body)) this.#take(said);
    if (this.#done) this.#checkWhole();
    else if (this.#response !== "") this.#clock.after(look_ms, () => this.#look());
  }

  #look(): void {
    if (this.outcome === undefined) this.#readStored();
  }

  /** Of a stream, and of a body that said it all, the same must be in the store. */
  #stored(): void {
    if (!this.#done) {
      this.#whole();
      return;
    }
    if (!this.#taken.isSaidBy(saidByBody(this.options.request.path, this.#body))) {
      this.#complain(`what is stored is something else: ${this.#body}`);
    }
    this.#end({ kind: "complete" });
  }

  #checkWhole(): void {
    this.#taken.checkWhole();
    const { kept } = this.options.request;
    if (kept === undefined || this.#response === "" || this.#asks === "stored") {
      this.#end({ kind: "complete" });
    } else this.#readStored();
  }

  /** Without an end: a stream can be taken up again, a keyed request can be sent again. */
  #broke(why: string): void {
    if (this.outcome !== undefined) return;
    // Only the end of the connection is missing, which no client waits for.
    if (this.#done && this.#asks !== "stored") {
      this.#checkWhole();
      return;
    }
    const { request, resumes, idempotency_key } = this.options;
    // Nobody listened, so nothing was asked for yet.
    const refused = why === REFUSED && this.#last_id === "";
    const reads = this.#response !== "" && (this.#asks === "stored" || !request.stream);
    const resumable = this.begun && resumes;
    const repeatable = this.#last_id === "" && idempotency_key !== "";
    if (!(reads || resumable || repeatable || refused) || ++this.#tries > retriesMax) {
      this.#end({ kind: "broken", why });
      return;
    }
    this.#clock.after(retry_ms, () => {
      if (this.outcome !== undefined) return;
      if (reads) this.#readStored();
      else if (resumable) this.#resume();
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
