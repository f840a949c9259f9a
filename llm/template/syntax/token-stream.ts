/** Tokens of a template, read one after the other. */
import { TemplateSyntaxError } from "../errors.ts";
import type { Token } from "./lexer.ts";

export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }
  get current(): Token {
    return this.#tokens[this.#at] as Token;
  }
  get following(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)] as Token;
  }
  next(): Token {
    const token = this.current;
    if (token.kind !== "eof") this.#at += 1;
    return token;
  }
  isSign(text: string): boolean {
    return this.current.kind === "sign" && this.current.text === text;
  }
  isName(...names: readonly string[]): boolean {
    return this.current.kind === "name" && names.includes(this.current.text);
  }
  skipSign(text: string): boolean {
    const is = this.isSign(text);
    if (is) this.#at += 1;
    return is;
  }
  skipName(text: string): boolean {
    const is = this.isName(text);
    if (is) this.#at += 1;
    return is;
  }
  takeSign(text: string): void {
    if (!this.skipSign(text)) throw this.error(`expected '${text}'`);
  }
  takeName(text?: string): string {
    const { kind, text: name } = this.current;
    if (kind !== "name" || (text !== undefined && name !== text)) {
      throw this.error(`expected ${text === undefined ? "a name" : `'${text}'`}`);
    }
    this.#at += 1;
    return name;
  }
  takeEnd(): void {
    if (this.current.kind !== "end") throw this.error("expected the end of the tag");
    this.#at += 1;
  }
  /** `expected`: what should stand here. */
  error(expected: string): TemplateSyntaxError {
    const { kind, text, line } = this.current;
    const found =
      kind === "eof"
        ? "the end of the template"
        : kind === "end"
          ? "the end of a tag"
          : `'${text}'`;
    return new TemplateSyntaxError(`${expected}, found ${found}`, line);
  }
}
