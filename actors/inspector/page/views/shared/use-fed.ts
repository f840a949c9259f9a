/** What a route says when a view opens, and what the live feed changes of it then. */
import { useEffect, useReducer, useRef } from "preact/hooks";
import { useFrames, useWants } from "../../data/feed.ts";
import { getJson, type HttpError } from "../../data/http.ts";
import type { Topic } from "../../data/types.ts";
import { atNextFrame } from "../../data/use-store.ts";

export type Fed<T> = {
  readonly value: T;
  /** The server has answered once, or has failed to. */
  readonly loaded: boolean;
  /** A line; undefined: all is well. */
  readonly failure: string | undefined;
};

/** Both change what is known so far, which may be frames that came before the answer. */
export type Feeding<T, Answer, Frame> = {
  readonly topic: Topic;
  readonly path: string;
  readonly start: T;
  readonly answered: (known: T, answer: Answer) => T;
  readonly framed: (known: T, frame: Frame) => T;
};

export function useFed<T, A, F>({ topic, path, start, ...take }: Feeding<T, A, F>): Fed<T> {
  const fed = useRef<Fed<T>>({ value: start, loaded: false, failure: undefined });
  const [, draw] = useReducer((times: number, _: null) => times + 1, 0);
  const change = (next: Partial<Fed<T>>) => {
    fed.current = { ...fed.current, loaded: true, failure: undefined, ...next };
    atNextFrame(() => draw(null));
  };
  useWants({ topics: [topic] });
  useFrames(topic, (frame) => {
    const value = take.framed(fed.current.value, frame as F);
    if (value !== fed.current.value) change({ value });
  });
  useEffect(() => {
    getJson<A>(path).then(
      (answer) => change({ value: take.answered(fed.current.value, answer) }),
      ({ message }: HttpError) => {
        // What the feed has told is there all the same.
        if (!fed.current.loaded) change({ failure: message });
      },
    );
  }, []);
  return fed.current;
}
