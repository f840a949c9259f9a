/** Where the next question is written, and what can be done to the answer that is under way. */
import { useEffect, useRef, useState } from "preact/hooks";
import { confirmAct } from "../../act/act.ts";
import { config } from "../../data/config.ts";
import { me, showsActs } from "../../data/me.ts";
import { useStore } from "../../data/use-store.ts";
import { Button } from "../../ui/button.tsx";
import { Icon } from "../../ui/icons.tsx";
import { Field } from "../../ui/parts.tsx";
import { inspectorUrl } from "../shared/inspector-url.ts";
import type { ToolCall } from "./answer.ts";
import { openCalls } from "./chat-history.ts";
import { ask, askAgain, canAskAgain, chat, killPlan, startAnew, stop } from "./chat-store.ts";

type ComposerProps = {
  /** The worker that makes the answer now. */
  readonly worker: string | undefined;
  readonly onAsked: () => void;
};

export function Composer({ worker, onAsked }: ComposerProps) {
  const now = useStore(chat);
  const [text, setText] = useState("");
  const [results, setResults] = useState<ReadonlyMap<string, string>>(new Map());
  const box = useRef<HTMLTextAreaElement>(null);
  const calls = now.busy ? [] : openCalls(now.said);
  useEffect(() => {
    // A keyboard that jumps up on a phone would hide what was said.
    if (matchMedia("(pointer: fine)").matches) box.current?.focus();
  }, []);
  const send = () => {
    if (!ask(text, results)) return;
    setText("");
    setResults(new Map());
    onAsked();
    box.current?.focus();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {calls.map((call) => (
        <ResultField
          key={call.id}
          call={call}
          value={results.get(call.id) ?? ""}
          onChange={(value) => setResults(new Map(results).set(call.id, value))}
        />
      ))}
      <textarea
        ref={box}
        class="input"
        rows={2}
        aria-label="Your message"
        placeholder={
          calls.length > 0 ? "Add something, or send the results alone" : "Ask something"
        }
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <div class="composer-buttons">
        {now.said.length > 0 && (
          <Button kind="quiet" icon="plus" onClick={startAnew}>
            New chat
          </Button>
        )}
        {canAskAgain(now) && (
          <Button kind="quiet" icon="restart" onClick={askAgain}>
            Ask again
          </Button>
        )}
        <span class="grow" />
        {now.busy && <Kill worker={worker} />}
        {now.busy ? (
          <Button icon="stop" onClick={stop}>
            Stop
          </Button>
        ) : (
          <Button kind="primary" type="submit" disabled={text.trim() === "" && calls.length === 0}>
            Send
          </Button>
        )}
      </div>
    </form>
  );
}

type ResultProps = {
  readonly call: ToolCall;
  readonly value: string;
  readonly onChange: (value: string) => void;
};

function ResultField({ call, value, onChange }: ResultProps) {
  return (
    <Field label={`Result of ${call.name}`}>
      <input
        class="input mono"
        autoComplete="off"
        value={value}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </Field>
  );
}

/** The answer goes on elsewhere: that is what the button is for. */
function Kill({ worker }: { worker: string | undefined }) {
  const may_act = showsActs(useStore(me));
  if (config.mode === "chat") {
    const url = inspectorUrl();
    if (url === undefined) return null;
    return (
      <a class="button quiet" href={url} title="There the worker can be killed in mid-answer">
        <Icon name="tree" />
        <span>Inspector</span>
      </a>
    );
  }
  if (!may_act) return null;
  const plan = killPlan(worker);
  return (
    <Button
      kind="danger"
      icon="kill"
      disabled={plan === undefined}
      title="kill -9 of the process that makes this answer; the answer goes on at another worker"
      onClick={() => plan && void confirmAct(plan)}
    >
      {worker === undefined ? "Kill its worker" : `Kill ${worker}`}
    </Button>
  );
}
