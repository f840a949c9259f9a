/** Errors of a template: it cannot be parsed, or it does not take these values. */

/** The source is no template. `line` counts from 1. */
export class TemplateSyntaxError extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(`${message} (line ${line})`);
    this.name = "TemplateSyntaxError";
    this.line = line;
  }
}

/** Rendering ended: by `raise_exception`, or because Python would raise here too. */
export class TemplateRuntimeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TemplateRuntimeError";
  }
}

/** The template itself refuses, by `raise_exception`. */
export class TemplateRaisedError extends TemplateRuntimeError {}

export function fail(message: string): never {
  throw new TemplateRuntimeError(message);
}
