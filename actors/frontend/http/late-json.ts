/**
 * One JSON body that may take minutes. Proxies (most after 60 s) and clients (undici after 300 s)
 * give up on a response without a head. So after three heartbeats the head goes out with status
 * 200, followed by blanks, which JSON allows before a value. If the request fails after that, the
 * error's body is sent and the connection is reset, so that no client takes the body for an answer.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import { ApiError } from "../api/api-error.ts";
import type { Quiet } from "./live-requests.ts";
import { jsonText, type RequestContext } from "./request-context.ts";

/** Heartbeats before the head goes out; from then on the status cannot change. */
const BEATS = 3;
/** Time for the error's body to leave before the reset. */
const RESET_MS = 50;
const blank = new TextEncoder().encode("\n");

export class LateJson implements Quiet {
  /** Rejects with ApiError when it fails in time. */
  readonly response: Promise<Response>;
  readonly #context: RequestContext;
  readonly #clock: Clock;
  readonly #gone: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #looks = 0;
  #over = false;
  #resolve: (response: Response) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  /** `gone`: the client left after the head had gone out. */
  constructor(context: RequestContext, clock: Clock, gone: () => void) {
    this.#context = context;
    this.#clock = clock;
    this.#gone = gone;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  look(looks: number): void {
    if (this.#over) return;
    this.#looks += 1;
    if (this.#controller !== undefined) {
      if (this.#looks % (looks + 1) === 0) this.#enqueue(blank);
    } else if (this.#looks >= BEATS * (looks + 1)) {
      this.#open();
    }
  }

  /** Takes the promise of the body. */
  from(json: Promise<string>): Promise<Response> {
    json.then(
      (text) => this.#whole(text),
      (error: unknown) => this.#failed(error),
    );
    return this.response;
  }

  #open(): void {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        controller.enqueue(blank);
      },
      cancel: () => {
        this.#over = true;
        this.#gone();
      },
    });
    const headers = { ...this.#context.headers, ...late };
    this.#resolve(new Response(body, { headers }));
  }

  #whole(text: string): void {
    if (this.#controller === undefined) {
      this.#over = true;
      this.#resolve(jsonText(this.#context, text));
      return;
    }
    if (this.#over) return;
    this.#over = true;
    this.#enqueue(new TextEncoder().encode(text));
    this.#end((controller) => controller.close());
  }

  #failed(error: unknown): void {
    if (this.#controller === undefined) {
      this.#over = true;
      this.#reject(error);
      return;
    }
    if (this.#over) return;
    this.#over = true;
    const { form, id } = this.#context;
    const body = form.errorBody(error instanceof ApiError ? error : unforeseen, undefined, id);
    this.#enqueue(new TextEncoder().encode(JSON.stringify(body)));
    this.#clock.after(RESET_MS, () => this.#end((controller) => controller.error(undefined)));
  }

  #enqueue(bytes: Uint8Array): void {
    this.#end((controller) => controller.enqueue(bytes));
  }

  #end(how: (controller: ReadableStreamDefaultController<Uint8Array>) => void): void {
    try {
      if (this.#controller !== undefined) how(this.#controller);
    } catch {
      // The server has closed the stream, as it does when a client leaves.
    }
  }
}

const late = {
  "Content-Type": "application/json",
  "Cache-Control": "no-cache",
  // A proxy that buffers would keep the blanks from its client.
  "X-Accel-Buffering": "no",
};

const unforeseen = new ApiError(500, "internal_error", "Internal error.");
