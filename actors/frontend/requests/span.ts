/** One step of a request, as times on the clock's scale. Plain data. */

export type SpanName =
  | "receive"
  | "validate"
  | "template"
  | "tokenize"
  | "route"
  | "queue"
  | "transfer"
  | "prefill"
  | "decode"
  | "migration"
  | "resume";

export type Note = string | number | boolean;

export type Span = {
  name: SpanName;
  /** The span that it is a part of; undefined: it is one of those that add up to the whole. */
  inside: SpanName | undefined;
  from_ms: number;
  /** NaN: it is open. */
  to_ms: number;
  /** The worker that it happens at; undefined: this process. */
  readonly worker: string | undefined;
  /** The prompt whose answers it is about; undefined: all. */
  readonly prompt: number | undefined;
  /** Facts for people. */
  notes: Readonly<Record<string, Note>> | undefined;
};

export const isOpen = ({ to_ms }: Span): boolean => Number.isNaN(to_ms);

/** Ends a span that is open. */
export function close(span: Span | undefined, now_ms: number): void {
  if (span !== undefined && isOpen(span)) span.to_ms = now_ms;
}

export function note(span: Span | undefined, facts: Readonly<Record<string, Note>>): void {
  if (span !== undefined)
    span.notes = span.notes === undefined ? facts : { ...span.notes, ...facts };
}
