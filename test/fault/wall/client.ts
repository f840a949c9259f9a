/**
 * A client as a careful program would be one: it sends a request, and when its connection breaks
 * it takes the answer up again where it has it (`GET /v1/streams/ID`, `Last-Event-ID`), or sends
 * the request anew when it has nothing of it yet. An answer that the server ends with an error is
 * over: that is a loss, or a clean error where no more was promised.
 */

import type { AnswerPath } from "../../support/answer-events.ts";
import { type Exchange, type ExchangeEnd, exchange, type HttpRequest } from "./exchange.ts";
import { type Ledger, newLedger, requestOf, takeEvent, takeEventOf } from "./ledger.ts";

export type ClientRequest = {
  /** Whoever answers may change between two tries. */
  readonly url: () => string;
  /** Default: by what the body has. */
  readonly path?: AnswerPath | undefined;
  /** With `stream: true`. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly choices: number;
  /** Takes an answer up again after a broken connection; false: one that broke is lost. */
  readonly resumes: boolean;
  /** Sends a request again that was refused or broke before its first event. */
  readonly retries: boolean;
  /** From the first byte sent to the end; later it counts as hung. */
  readonly deadline_ms: number;
  /** Each event, and the exchange that brings them: for clients that misbehave. */
  readonly onEvent?: (ledger: Ledger, exchange: Exchange) => void;
};

export type Outcome = {
  readonly ledger: Ledger;
  /** `failed`: the server said so; `broken`: the connection did, and nobody took it up again. */
  readonly state: "complete" | "failed" | "broken" | "hung";
  /** HTTP status of a refusal; 0 when there was none. */
  readonly status: number;
  readonly why: string;
  readonly sent_ms: number;
  readonly ended_ms: number;
  readonly resumed: number;
  readonly retried: number;
};

/** How long after a break somebody must take the answer up again, and how often that is tried. */
const resume_for_ms = 15_000;
const again_ms = 50;
/** No answer to a request within this: the connection went to a process that is not there. */
const silent_ms = 30_000;

type Progress = { resumed: number; retried: number; began: boolean };

export async function runClient(request: ClientRequest): Promise<Outcome> {
  const ledger = newLedger(request.choices);
  const sent_ms = performance.now();
  const progress: Progress = { resumed: 0, retried: 0, began: false };
  const end = (state: Outcome["state"], why: string, status = 0): Outcome => ({
    ledger,
    state,
    status,
    why,
    sent_ms,
    ended_ms: performance.now(),
    resumed: progress.resumed,
    retried: progress.retried,
  });
  let broken_ms: number | undefined;
  for (;;) {
    const left_ms = sent_ms + request.deadline_ms - performance.now();
    if (left_ms <= 0) return end("hung", "it did not end in time");
    const ended = await one(request, ledger, left_ms, progress);
    if (ledger.done) return end("complete", "");
    if (ledger.error !== undefined) return end("failed", ledger.error, 200);
    if (ended === undefined) return end("hung", "it did not end in time");
    const moved = ledger.resume_at !== undefined;
    ledger.resume_at = undefined;
    if (ended.kind === "whole" && ended.status === 200 && !(moved && request.resumes)) {
      return end("failed", moved ? "moved" : "the stream ended without [DONE]", 200);
    }
    const begun = ledger.last_id !== "";
    const again = moved || mayTryAgain(request, ended, begun);
    if (ended.kind === "broken" && !again) return end("broken", ended.why);
    if (ended.kind === "whole" && !again) return end("failed", ended.body, ended.status);
    broken_ms = progress.began ? performance.now() : (broken_ms ?? performance.now());
    if (performance.now() - broken_ms > resume_for_ms) {
      const why = ended.kind === "broken" ? ended.why : `${ended.status} ${ended.body}`;
      return end("broken", `nobody took it up again: ${why}`);
    }
    if (!begun) progress.retried += 1;
    await Bun.sleep(again_ms);
  }
}

/** A refused resume may find the answer's holder a moment later, but one that is gone is gone. */
function mayTryAgain(request: ClientRequest, ended: ExchangeEnd, begun: boolean): boolean {
  if (ended.kind === "broken") return begun ? request.resumes : request.retries;
  const busy = [429, 503, 529].includes(ended.status);
  const later = busy || (begun && ended.status === 404);
  return later && (begun ? request.resumes : request.retries);
}

/** A stored response has its own way: behind the last number. */
function takenUp({ last_id, response, number }: Ledger, path: AnswerPath): HttpRequest {
  if (path === "/v1/responses") {
    const behind = `stream=true&starting_after=${number}`;
    return { method: "GET", path: `${path}/${response}?${behind}` };
  }
  const headers = { "Last-Event-ID": last_id };
  return { method: "GET", path: `/v1/streams/${requestOf(last_id)}`, headers };
}

/** undefined: the request's whole time is over. */
async function one(
  request: ClientRequest,
  ledger: Ledger,
  left_ms: number,
  progress: Progress,
): Promise<ExchangeEnd | undefined> {
  const begun = ledger.last_id !== "";
  progress.began = false;
  const chat = "prompt" in request.body ? "/v1/completions" : "/v1/chat/completions";
  const { path = chat } = request;
  const made = exchange(
    request.url(),
    begun ? takenUp(ledger, path) : { method: "POST", path, body: JSON.stringify(request.body) },
    ({ id, data }, at_ms) => {
      if (begun && !progress.began) progress.resumed += 1;
      progress.began = true;
      if (path === chat) takeEvent(ledger, id, data, at_ms);
      else takeEventOf(path, ledger, id, data, at_ms);
      request.onEvent?.(ledger, made);
    },
  );
  const silent = setTimeout(() => {
    if (!progress.began && (request.resumes || request.retries)) made.hangUp("nobody answered");
  }, silent_ms);
  const late = Promise.withResolvers<undefined>();
  const deadline = setTimeout(() => late.resolve(undefined), left_ms);
  const ended = await Promise.race([made.ended, late.promise]);
  clearTimeout(silent);
  clearTimeout(deadline);
  if (ended === undefined) made.hangUp("it did not end in time");
  return ended;
}
