/** What the page of one actor knows: its page of the server, its history, its state. */
import { useEffect, useState } from "preact/hooks";
import { useFrames, useWants } from "../../data/feed.ts";
import { extended, type History, noHistory } from "../../data/history.ts";
import { getJson, HttpError } from "../../data/http.ts";
import { actorPath } from "../../data/paths.ts";
import type { ActorFrame, ActorPage, Json } from "../../data/types.ts";
import { atNextFrame } from "../../data/use-store.ts";

const LOOK_EVERY_MS = 2_000;

export type ActorKnown = {
  readonly page: ActorPage | undefined;
  /** Why there is no page, or none any more. */
  readonly failure: string | undefined;
};

/** Asks again and again while the view is there. */
export function useActorPage(id: string): ActorKnown {
  const [known, setKnown] = useState<ActorKnown>({ page: undefined, failure: undefined });
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      const next = document.hidden ? undefined : await askFor(id);
      if (isOver) return;
      if (next !== undefined) {
        setKnown((was) => ({ page: next.page ?? was.page, failure: next.failure }));
      }
      timer = setTimeout(() => void look(), LOOK_EVERY_MS);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [id]);
  return known;
}

async function askFor(id: string): Promise<ActorKnown> {
  try {
    return { page: await getJson<ActorPage>(actorPath(id)), failure: undefined };
  } catch (error) {
    const isGone = error instanceof HttpError && error.status === 404;
    const text = (error as Error).message;
    return { page: undefined, failure: isGone ? `It is not there: ${text}` : text };
  }
}

/** Watching an actor makes its process record what it does. */
export function useHistory(id: string): History {
  const [history, setHistory] = useState(noHistory);
  useWants({ topics: ["tree"], actor: id });
  const [waiting] = useState<ActorFrame[]>([]);
  const [takeIn] = useState(() => () => {
    const frames = waiting.splice(0);
    setHistory((was) => frames.reduce(extended, was));
  });
  useFrames("actor", (frame) => {
    const next = frame as ActorFrame;
    if (next.id !== id) return;
    waiting.push(next);
    atNextFrame(takeIn);
  });
  return history;
}

export type StateKnown = { readonly now: Json | undefined; readonly was: Json | undefined };

/** The state of now, and what it was before it last changed. */
export function useChanges(given: Json | undefined): StateKnown {
  const [known, setKnown] = useState<StateKnown>({ now: undefined, was: undefined });
  const text = JSON.stringify(given);
  useEffect(() => {
    if (given === undefined) return;
    setKnown(({ now }) => ({ now: given, was: now }));
  }, [text]);
  return known;
}
