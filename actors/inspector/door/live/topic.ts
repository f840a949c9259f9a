/**
 * What a page can watch. One source serves all pages that watch the same, and there is none while
 * nobody does.
 */
import type { Door } from "../door.ts";

export const topicNames = [
  "tree",
  "actor",
  "requests",
  "request",
  "load",
  "kv",
  "acts",
  "planner",
] as const;
export type TopicName = (typeof topicNames)[number];

/** A frame that is JSON already: its fields without their braces. */
export class Written {
  readonly fields: string;

  constructor(fields: string) {
    this.fields = fields;
  }
}

export type Topic = {
  readonly name: TopicName;
  /** From one look to the next. */
  readonly every_ms: number;
  /** Called when the first page watches it. `key`: which actor, which request; else "". */
  readonly open: (door: Door, key: string) => TopicSource;
};

export interface TopicSource {
  /**
   * Looks once; never called again before it is settled. The frame for pages that have had all
   * frames before, without its topic; undefined: nothing has changed.
   */
  next(): Promise<object | undefined>;
  /** The frame for a page that has had none; undefined: it takes what `next` gives. */
  whole(): object | undefined;
  /** The last page has left. */
  close?(): void;
}
