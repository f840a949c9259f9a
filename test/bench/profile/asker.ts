/** Single streamed requests with a deadline each, over connections that are kept. */
import { type Answer, HttpClient } from "../http-client.ts";
import { pathOf, slot, template } from "../load/request-bodies.ts";

export type Target = {
  readonly url: string;
  readonly api_key: string | undefined;
  readonly model: string;
  readonly endpoint: "chat" | "completions";
  /** Ask for the full length whatever the model would do; some servers refuse the fields for it. */
  readonly full_length: boolean;
};

/** One request got no good answer; the message is what the server or the connection said. */
export class RequestFailed extends Error {
  readonly code = "request_failed";
}

export class Asker {
  readonly #target: Target;
  readonly #timeout_ms: number;
  readonly #signal: AbortSignal;
  readonly #free: HttpClient[] = [];
  readonly #busy = new Set<HttpClient>();

  constructor(target: Target, timeout_ms: number, signal: AbortSignal) {
    this.#target = target;
    this.#timeout_ms = timeout_ms;
    this.#signal = signal;
  }

  /** Rejects with RequestFailed, also when the sweep is ended meanwhile. */
  async ask(prompt: string, osl: number): Promise<Answer> {
    if (this.#signal.aborted) throw new RequestFailed("the sweep has ended");
    const [head = "", tail = ""] = template(this.#target, osl).split(slot);
    const { url, api_key } = this.#target;
    const client = this.#free.pop() ?? new HttpClient(url, { api_key });
    this.#busy.add(client);
    // One that does not even connect has nothing to close.
    const late = Promise.withResolvers<never>();
    const giveUp = (why: string) => {
      client.close(why);
      late.reject(new RequestFailed(why));
    };
    const timer = setTimeout(
      () => giveUp(`no whole answer in ${this.#timeout_ms / 1000} s`),
      this.#timeout_ms,
    );
    const stop = () => giveUp("the sweep has ended");
    this.#signal.addEventListener("abort", stop);
    try {
      // The words of prompts need no escapes.
      const sent = client.send(pathOf(this.#target), head + prompt + tail);
      const answer = await Promise.race([sent, late.promise]);
      if (answer.error !== "") throw new RequestFailed(answer.error);
      return answer;
    } catch (error) {
      if (error instanceof RequestFailed) throw error;
      throw new RequestFailed((error as Error).message);
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", stop);
      this.#busy.delete(client);
      this.#free.push(client);
    }
  }

  close(why = "closed"): void {
    for (const client of [...this.#busy, ...this.#free]) client.close(why);
  }
}
