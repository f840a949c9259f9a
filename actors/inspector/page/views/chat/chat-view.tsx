/** A playground against the cluster's own endpoint. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useStore } from "../../data/use-store.ts";
import { Button } from "../../ui/button.tsx";
import { count } from "../../ui/format.ts";
import { Empty } from "../../ui/parts.tsx";
import type { ViewProps } from "../view.ts";
import { AnswerView, workerNow } from "./answer-view.tsx";
import "./chat.css";
import type { Said } from "./chat-history.ts";
import { askModels, askWorkers, chat } from "./chat-store.ts";
import { Composer } from "./composer.tsx";
import { SettingsPanel } from "./settings-panel.tsx";

export function ChatView(_: ViewProps) {
  const { said, busy, workers } = useStore(chat);
  const names = useMemo(() => [...workers.keys()], [workers]);
  const follow = useFollow(said);
  useEffect(() => {
    void askModels();
    void askWorkers();
  }, []);
  const last = said.at(-1);
  const worker = last?.role === "assistant" ? workerNow({ answer: last.answer, names }) : undefined;
  return (
    <div class="chat">
      <h1 class="visually-hidden">Chat</h1>
      <SettingsPanel />
      <div class="chat-main">
        <section
          class="chat-log"
          ref={follow.box}
          aria-label="Conversation"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
          tabIndex={0}
          onScroll={follow.onScroll}
        >
          <div class="chat-column">
            {said.length === 0 ? <Welcome /> : said.map((item, at) => saidOf(item, at, names))}
          </div>
        </section>
        {follow.left && (
          <div class="to-end">
            <Button icon="down" onClick={follow.toEnd}>
              To the end
            </Button>
          </div>
        )}
        <Composer worker={worker} onAsked={follow.toEnd} />
      </div>
      <p class="visually-hidden" role="status">
        {statusOf(last, busy)}
      </p>
    </div>
  );
}

/** What a screen reader hears: that an answer began and ended, not each of its tokens. */
function statusOf(last: Said | undefined, busy: boolean): string {
  if (busy) return "The answer is coming.";
  if (last?.role !== "assistant") return "";
  const { state, tokens } = last.answer;
  return `The answer is ${state}, ${count(tokens)} tokens.`;
}

function Welcome() {
  const { models, models_failure } = useStore(chat);
  if (models.length === 0 && models_failure !== undefined) {
    return (
      <Empty icon="warning" title="No model to ask">
        {models_failure}
      </Empty>
    );
  }
  return (
    <Empty icon="chat" title="Ask the cluster something">
      The answer streams in with its tokens a second and the worker that makes it. When that worker
      dies in the middle, another one goes on, and the text shows where.
    </Empty>
  );
}

function saidOf(item: Said, at: number, names: readonly string[]) {
  if (item.role === "assistant") return <AnswerView key={at} answer={item.answer} names={names} />;
  return (
    <article
      key={at}
      class={`said ${item.role}`}
      aria-label={item.role === "user" ? "You" : "Result of a call"}
    >
      <p>{item.content}</p>
    </article>
  );
}

/** Nearer to the end than this a reader wants to see what comes. */
const NEAR_PX = 48;

/** Keeps the end in sight until the reader scrolls up, and again once he is back there. */
function useFollow(said: readonly Said[]) {
  const box = useRef<HTMLElement>(null);
  const follows = useRef(true);
  const [left, setLeft] = useState(false);
  const toEnd = () => {
    follows.current = true;
    setLeft(false);
    const log = box.current;
    if (log !== null) log.scrollTop = log.scrollHeight;
  };
  useLayoutEffect(() => {
    if (follows.current) toEnd();
  }, [said]);
  const onScroll = ({ currentTarget }: { currentTarget: HTMLElement }) => {
    const { scrollTop, scrollHeight, clientHeight } = currentTarget;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    setLeft(!follows.current);
  };
  return { box, left, toEnd, onScroll };
}
