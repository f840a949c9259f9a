/**
 * What one client has of one answer, event by event: the exactly-once checker. It trusts nothing
 * but the cursor of each event's `id:`, the text, and, where asked for, one logprob a token.
 */
import { type AnswerPath, saidByEvent } from "../../support/answer-events.ts";

export type ChoiceLedger = {
  /** Tokens that the last cursor counted. */
  delivered: number;
  text: string;
  finish: string | undefined;
};

export type Ledger = {
  readonly choices: ChoiceLedger[];
  /** Of the last event; what a client sends as Last-Event-ID. */
  last_id: string;
  /** Of /v1/responses: the response, and the number of its last event, which counts from 0. */
  response: string;
  number: number;
  /** Events with text whose cursor did not move on. */
  duplicated: number;
  /** Events whose cursor moved by another number of tokens than came with it. */
  skipped: number;
  /** First event with a token, and the longest time between two of them. */
  first_ms: number | undefined;
  last_ms: number;
  gap_ms: number;
  /** When the gap ended: tells whether the fault made it. */
  gap_at_ms: number;
  /** Who makes it: counts the workers that it was at. 0: no event said so yet. */
  attempt: number;
  /** How many tokens there were each time that it went on at another worker. */
  readonly moved_after: number[];
  completion_tokens: number | undefined;
  done: boolean;
  /** The server's own words, when it ended the answer with an error. */
  error: string | undefined;
  /** Instead: it ends here, and goes on for whoever asks there. */
  resume_at: string | undefined;
};

export function newLedger(choices: number): Ledger {
  return {
    choices: Array.from({ length: choices }, () => ({
      delivered: 0,
      text: "",
      finish: undefined,
    })),
    last_id: "",
    response: "",
    number: -1,
    duplicated: 0,
    skipped: 0,
    first_ms: undefined,
    last_ms: 0,
    gap_ms: 0,
    gap_at_ms: 0,
    attempt: 0,
    moved_after: [],
    completion_tokens: undefined,
    done: false,
    error: undefined,
    resume_at: undefined,
  };
}

/** The request id of `REQUEST:CURSOR`; empty without one. */
export const requestOf = (id: string): string => id.slice(0, Math.max(0, id.lastIndexOf(":")));

/** Delivered tokens by choice; flags and hints behind the counts are the server's own. */
function cursorOf(id: string): number[] {
  const [counts = ""] = id.slice(id.lastIndexOf(":") + 1).split("@");
  return counts.split(".").map((count) => Number.parseInt(count, 10));
}

type Chunk = {
  readonly error?: { readonly message?: string; readonly code?: string; readonly resume?: string };
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly choices?: readonly {
    readonly index: number;
    readonly text?: string;
    readonly delta?: { readonly content?: string };
    readonly finish_reason: string | null;
    readonly logprobs?: { readonly content?: readonly unknown[] } | null;
  }[];
};

export function takeEvent(ledger: Ledger, id: string, data: string, at_ms: number): void {
  if (id !== "") ledger.last_id = id;
  if (data === "[DONE]") {
    ledger.done = true;
    return;
  }
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error !== undefined) {
    ledger.resume_at = chunk.error.resume;
    if (chunk.error.resume === undefined) {
      ledger.error = `${chunk.error.code}: ${chunk.error.message}`;
    }
    return;
  }
  if (chunk.usage) ledger.completion_tokens = chunk.usage.completion_tokens;
  const before = ledger.choices.reduce((sum, { delivered }) => sum + delivered, 0);
  const cursor = id === "" ? undefined : cursorOf(id);
  noteAttempt(ledger, id, before);
  for (const { index, text, delta, finish_reason, logprobs } of chunk.choices ?? []) {
    const choice = ledger.choices[index];
    if (choice === undefined) {
      ledger.error = `an event of choice ${index}, which was not asked for`;
      return;
    }
    const words = text ?? delta?.content ?? "";
    const tokens = logprobs?.content?.length;
    // Tokens of reasoning and of its marks come with no content, and move the cursor as others do.
    if (words !== "" || (tokens ?? 0) > 0) takeText(ledger, choice, words, cursor?.[index], tokens);
    if (words !== "") beat(ledger, at_ms);
    if (finish_reason !== null) choice.finish = finish_reason;
  }
}

/** The same of an API whose events have other forms. */
export function takeEventOf(
  path: AnswerPath,
  ledger: Ledger,
  id: string,
  data: string,
  at_ms: number,
): void {
  if (id !== "") ledger.last_id = id;
  const cursor = id === "" ? undefined : cursorOf(id);
  const [first] = ledger.choices;
  noteAttempt(ledger, id, first?.delivered ?? 0);
  for (const said of saidByEvent(path, data)) {
    const choice = "choice" in said ? ledger.choices[said.choice] : first;
    if (choice === undefined) {
      ledger.error = "an event of a choice that was not asked for";
      return;
    }
    switch (said.kind) {
      case "text":
        if (said.text === "") break;
        takeText(ledger, choice, said.text, cursor?.[0], undefined);
        beat(ledger, at_ms);
        break;
      case "whole":
        if (said.text !== choice.text) ledger.error = "its text is told once more as another one";
        break;
      case "finish":
        choice.finish = said.finish_reason;
        break;
      case "usage":
        ledger.completion_tokens = said.completion_tokens;
        break;
      case "number":
        if (said.number <= ledger.number) ledger.duplicated += 1;
        else if (said.number > ledger.number + 1) ledger.skipped += 1;
        ledger.number = said.number;
        ledger.response = said.response ?? ledger.response;
        break;
      case "wait":
        ledger.error = "it is still made";
        break;
      case "end":
        ledger.done = true;
        break;
      case "error":
        if (said.resumes) ledger.resume_at = ledger.last_id;
        else ledger.error = said.code;
    }
  }
}

/** Of the first prompt. */
function noteAttempt(ledger: Ledger, id: string, before: number): void {
  const attempt = Number.parseInt(id.slice(id.lastIndexOf("@") + 1), 10);
  if (!id.includes("@") || attempt === ledger.attempt) return;
  if (ledger.attempt > 0) ledger.moved_after.push(before);
  ledger.attempt = attempt;
}

function takeText(
  ledger: Ledger,
  choice: ChoiceLedger,
  words: string,
  delivered: number | undefined,
  tokens: number | undefined,
): void {
  choice.text += words;
  if (delivered === undefined) return;
  if (delivered <= choice.delivered) ledger.duplicated += 1;
  else if (tokens !== undefined && delivered !== choice.delivered + tokens) ledger.skipped += 1;
  choice.delivered = Math.max(choice.delivered, delivered);
}

function beat(ledger: Ledger, at_ms: number): void {
  if (ledger.first_ms === undefined) {
    ledger.first_ms = at_ms;
  } else if (at_ms - ledger.last_ms > ledger.gap_ms) {
    ledger.gap_ms = at_ms - ledger.last_ms;
    ledger.gap_at_ms = at_ms;
  }
  ledger.last_ms = at_ms;
}

/** Nothing but a beginning of the undisturbed answer may reach a client, however it ends. */
export const isBeginningOf = (ledger: Ledger, expected: readonly string[]): boolean =>
  ledger.choices.every((choice, i) => (expected[i] ?? "").startsWith(choice.text));

export const isWhole = (ledger: Ledger, expected: readonly string[]): boolean =>
  ledger.choices.every((choice, i) => choice.text === expected[i]);
