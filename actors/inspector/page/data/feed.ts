/** The page's one live feed, and how views take from it. */
import { useEffect, useReducer, useRef } from "preact/hooks";
import { Live, type LiveSocket, type Wants } from "./live.ts";
import { poll } from "./polls.ts";
import type { Frame, Topic } from "./types.ts";
import { atNextFrame } from "./use-store.ts";

export const live = new Live({
  open: () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    return new WebSocket(`${scheme}://${location.host}/api/live`) as LiveSocket;
  },
  after: (delay_ms, run) => {
    const timer = setTimeout(run, delay_ms);
    return () => clearTimeout(timer);
  },
  unit: () => Math.random(),
  poll,
});

/** A page that nobody has looked at for so long lets the server rest. */
const HIDDEN_MS = 15_000;

export function restWhileHidden(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => live.pause(), HIDDEN_MS);
    else live.resume();
  });
}

/** Wants the feed's topics while the component is there. */
export function useWants({ topics = [], actor, request }: Wants): void {
  const names = topics.join();
  useEffect(() => {
    const list = names === "" ? [] : (names.split(",") as Topic[]);
    return live.want({ topics: list, actor, request });
  }, [names, actor, request]);
}

/** Each frame of a topic, as it comes; the component is not drawn for it. */
export function useFrames(topic: Topic, take: (frame: Frame) => void): void {
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => live.on(topic, (frame) => latest.current(frame)), [topic]);
}

/** The latest frame of a topic, wanted while the component is there; undefined: none came yet. */
export function useTopic<T>(topic: Topic): T | undefined {
  const frame = useRef<Frame | undefined>(undefined);
  const [, draw] = useReducer((count: number, _: null) => count + 1, 0);
  useWants({ topics: [topic] });
  useFrames(topic, (next) => {
    frame.current = next;
    atNextFrame(() => draw(null));
  });
  return frame.current as T | undefined;
}
