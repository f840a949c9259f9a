/**
 * Limits of one rendering. A template is a foreign program and runs on the thread that serves all
 * requests: one that does not end would block the process. A rendering neither waits nor starts
 * another one, so the counters can be the module's.
 */
import { TemplateRuntimeError } from "./errors.ts";

/** Turns of loops, calls of macros, and items of lists that are made or gone through. */
export const STEPS_MAX = 1_000_000;
/** UTF-16 units of text that are written or put together; of what is only read, a half. */
export const CHARACTERS_MAX = 128_000_000;

/** The template takes more than a rendering may. */
export class TemplateBudgetError extends TemplateRuntimeError {
  override readonly name = "TemplateBudgetError";
}

let steps = 0;
let characters = 0;

/** A rendering begins. */
export function beginBudget(): void {
  steps = 0;
  characters = 0;
}

export function takeSteps(count: number): void {
  steps += count;
  if (steps > STEPS_MAX) {
    throw new TemplateBudgetError(`the template does not end: more than ${STEPS_MAX} steps`);
  }
}

export function takeCharacters(count: number): void {
  characters += count;
  if (characters > CHARACTERS_MAX) {
    const message = `the template does not end: more than ${CHARACTERS_MAX} characters of text`;
    throw new TemplateBudgetError(message);
  }
}

/** A text is gone through. */
export const takeReading = (length: number): void => takeCharacters(length >> 1);

/** `a + b` of texts. The shorter one counts: a text that grows by pieces costs what they have. */
export function joinedTexts(a: string, b: string): string {
  takeCharacters(Math.min(a.length, b.length));
  return a + b;
}
