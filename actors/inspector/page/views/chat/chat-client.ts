/**
 * Sends one question and brings its answer, whatever happens to the connection. A stream that
 * breaks goes on behind the last event that came (`GET /v1/streams/ID` with `Last-Event-ID`); one
 * that broke before its first event is asked for once more under the same `Idempotency-Key`.
 */
import { type Answer, failed, isOver, newAnswer, withEvent } from "./answer.ts";
import { SseReader } from "./sse-reader.ts";

/** What the browser does for it. */
export type ChatWorld = {
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>;
  readonly now_ms: () => number;
  readonly sleep: (wait_ms: number) => Promise<void>;
  readonly newKey: () => string;
};

export type Ask = {
  readonly body: object;
  /** "": none. */
  readonly api_key: string;
  /** The inspector's, where others reach it. */
  readonly token?: string;
  /** Called with each state of the answer, the last one included. */
  readonly shown: (answer: Answer) => void;
  readonly stopped: AbortSignal;
};

/** Waits between two tries, in a row without any event. */
const waits_ms = [200, 500, 1_000, 2_000, 4_000, 8_000];
const CHAT_PATH = "/v1/chat/completions";

export async function askChat(world: ChatWorld, ask: Ask): Promise<Answer> {
  const run = new ChatRun(world, ask);
  await run.toEnd();
  return run.answer;
}

class ChatRun {
  readonly #world: ChatWorld;
  readonly #ask: Ask;
  readonly #key: string;
  #answer: Answer;
  #last_id = "";

  constructor(world: ChatWorld, ask: Ask) {
    this.#world = world;
    this.#ask = ask;
    this.#key = world.newKey();
    this.#answer = newAnswer(world.now_ms());
  }

  get answer(): Answer {
    return this.#answer;
  }

  async toEnd(): Promise<void> {
    this.#show(this.#answer);
    let tries = 0;
    while (!isOver(this.#answer)) {
      const had = this.#last_id;
      const refused = await this.#connect().catch(() => undefined);
      if (this.#ask.stopped.aborted) return this.#stop();
      if (refused !== undefined) return this.#show(failed(this.#answer, refused));
      if (isOver(this.#answer)) return;
      tries = this.#last_id === had ? tries + 1 : 1;
      const wait_ms = waits_ms[tries - 1];
      if (wait_ms === undefined) return this.#show(failed(this.#answer, LOST));
      const reconnects = this.#answer.reconnects + 1;
      this.#show({ ...this.#answer, state: "reconnecting", reconnects });
      await this.#world.sleep(wait_ms);
      if (this.#ask.stopped.aborted) return this.#stop();
    }
  }

  /** Returns why it was refused for good; undefined: the stream ended, or broke. */
  async #connect(): Promise<string | undefined> {
    const response = await this.#world.fetch(this.#path, {
      ...(this.#last_id === "" ? this.#first : { method: "GET", headers: this.#resuming("true") }),
      signal: this.#ask.stopped,
    });
    // What is full, starting or still being placed may be asked again.
    const later = response.status === 409 || response.status === 503 || response.status === 502;
    if (!response.ok) {
      const words = await errorOf(response);
      return later && this.#answer.reconnects < waits_ms.length ? undefined : words;
    }
    // Behind [DONE] there is nothing.
    if (response.status === 204) return this.#end();
    const request = response.headers.get("x-request-id");
    if (this.#answer.request === "" && request !== null) this.#show({ ...this.#answer, request });
    await this.#read(response.body);
    return undefined;
  }

  async #read(body: ReadableStream<Uint8Array> | null): Promise<void> {
    if (body === null) return;
    const events = new SseReader();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      let next = this.#answer;
      for (const event of events.push(decoder.decode(value, { stream: true }))) {
        next = withEvent(next, event, this.#world.now_ms());
      }
      if (events.last_id !== "") this.#last_id = events.last_id;
      if (next !== this.#answer) this.#show(next);
    }
  }

  #end(): undefined {
    this.#show({ ...this.#answer, state: "done" });
  }

  /** The stream is kept for a client that comes back, so one comes and says that it will not. */
  #stop(): void {
    this.#show({ ...this.#answer, state: "stopped" });
    if (this.#last_id === "") return;
    const leaving = new AbortController();
    void this.#world
      .fetch(this.#path, {
        method: "GET",
        headers: this.#resuming("false"),
        signal: leaving.signal,
      })
      .then((response) => {
        leaving.abort();
        return response.body?.cancel();
      })
      .catch(() => undefined);
  }

  get #path(): string {
    if (this.#last_id === "") return CHAT_PATH;
    return `/v1/streams/${this.#last_id.slice(0, this.#last_id.indexOf(":"))}`;
  }

  get #first(): RequestInit {
    return {
      method: "POST",
      headers: {
        ...{ "content-type": "application/json", "x-resumable": "true" },
        ...{ "idempotency-key": this.#key, ...this.#authorization },
      },
      body: JSON.stringify(this.#ask.body),
    };
  }

  #resuming(resumable: "true" | "false"): Record<string, string> {
    return {
      ...{ "last-event-id": this.#last_id, "x-resumable": resumable },
      ...this.#authorization,
    };
  }

  get #authorization(): Record<string, string> {
    const { api_key, token = "" } = this.#ask;
    return {
      ...(api_key === "" ? {} : { authorization: `Bearer ${api_key}` }),
      ...(token === "" ? {} : { "x-inspector-token": token }),
    };
  }

  #show(answer: Answer): void {
    this.#answer = answer;
    this.#ask.shown(answer);
  }
}

const LOST = "The connection was lost, and the server could not be reached again.";

async function errorOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } | string };
    const words = typeof error === "string" ? error : error?.message;
    if (words) return words;
  } catch {
    // It is no JSON: the status says what there is to say.
  }
  return `The server answered ${response.status}.`;
}
