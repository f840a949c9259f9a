/** What a simulated client has of its answer, held against what was to come, token by token. */
import type { Said } from "../../support/answer-events.ts";
import type { ClientRequest, ExpectedChoice, Oracle } from "./request.ts";

type Got = { text: string; delivered: number; finish_reason: string | undefined };

export class TakenAnswer {
  readonly #complain: (what: string) => void;
  readonly #request: ClientRequest;
  readonly #expected: readonly ExpectedChoice[];
  readonly #got: readonly Got[];
  #usage: number | undefined;

  constructor(request: ClientRequest, oracle: Oracle, complain: (what: string) => void) {
    this.#complain = complain;
    this.#request = request;
    const choices = Array.from({ length: request.choices }, (_, choice) => choice);
    this.#expected = choices.map((choice) => oracle.choice(request, choice));
    this.#got = choices.map(() => ({ text: "", delivered: 0, finish_reason: undefined }));
  }

  get tokens(): number {
    return this.#got.reduce((sum, got) => sum + got.delivered, 0);
  }

  take(said: Said): void {
    switch (said.kind) {
      case "text":
        this.#text(said.choice, said.text);
        return;
      case "whole":
        if (said.text === this.#got[said.choice]?.text) return;
        this.#complain(`choice ${said.choice} is told once more, as "${said.text}"`);
        return;
      case "finish":
        this.#finish(said.choice, said.finish_reason);
        return;
      case "usage":
        this.#usage = said.completion_tokens;
    }
  }

  /** Opaque to clients, but for this one: counts with letters, then where the rest is. */
  cursors(id: string): void {
    const [counts = ""] = id.slice(id.lastIndexOf(":") + 1).split(/[@u]/);
    for (const [choice, part] of counts.split(".").entries()) {
      this.#cursor(choice, Number.parseInt(part, 10));
    }
  }

  checkWhole(): void {
    let tokens = 0;
    for (const [choice, expected] of this.#expected.entries()) {
      const got = this.#got[choice];
      tokens += expected.pieces.length;
      const text = got?.text ?? "";
      if (text !== expected.text && !this.#isHeldBack(text, expected.text)) {
        this.#complain(`choice ${choice} is "${text}" instead of "${expected.text}"`);
      }
      if (got?.finish_reason !== expected.finish_reason) {
        this.#complain(`choice ${choice} ended with ${got?.finish_reason}`);
      }
    }
    if (this.#usage !== tokens) this.#complain(`usage says ${this.#usage} tokens, not ${tokens}`);
  }

  /** Of an answer that is whole: the same text and the same end. */
  isSaidBy(said: readonly Said[]): boolean {
    const [got] = this.#got;
    const text = said.find(({ kind }) => kind === "whole");
    const finish = said.find(({ kind }) => kind === "finish");
    if (text?.kind !== "whole" || finish?.kind !== "finish") return false;
    return text.text === got?.text && finish.finish_reason === got.finish_reason;
  }

  #text(choice: number, added: string): void {
    const got = this.#got[choice];
    const expected = this.#expected[choice];
    if (got === undefined || expected === undefined) {
      this.#complain(`choice ${choice}`);
      return;
    }
    if (added !== "" && got.finish_reason !== undefined) {
      this.#complain(`choice ${choice} goes on after its end`);
    }
    got.text += added;
    if (!expected.text.startsWith(got.text)) {
      this.#complain(
        `choice ${choice}: got ${JSON.stringify(got.text.slice(-30))} where ` +
          `${JSON.stringify(expected.text.slice(0, got.text.length).slice(-30))} was to come`,
      );
    }
  }

  #finish(choice: number, finish_reason: string): void {
    const got = this.#got[choice];
    if (got === undefined) return;
    if (got.finish_reason !== undefined) this.#complain(`choice ${choice} ends twice`);
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
    if (this.#request.stop !== "") return;
    const text = expected.pieces.slice(0, delivered).join("");
    if (text !== got.text && !this.#isHeldBack(got.text, text)) {
      this.#complain(`choice ${choice}: ${delivered} tokens are "${text}", not "${got.text}"`);
    }
  }

  /** Messages show blank text with what follows it. */
  #isHeldBack(shown: string, text: string): boolean {
    return this.#request.path === "/v1/messages" && shown === "" && !/\S/.test(text);
  }
}
