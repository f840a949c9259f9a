/** One answer: reasoning folded away, text with its seams, calls, and how it was made. */
import { useMemo } from "preact/hooks";
import { config } from "../../data/config.ts";
import { hrefOf } from "../../shell/route.ts";
import { CopyButton } from "../../ui/button.tsx";
import { count, duration, rate } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import {
  type Answer,
  isEmpty,
  isOver,
  SEAM_MARK,
  type Seam,
  type ToolCall,
  tokensPerSecond,
  ttftOf,
} from "./answer.ts";
import { workerOf } from "./event-place.ts";
import { Markdown, plain } from "./markdown-view.tsx";

type AnswerProps = {
  readonly answer: Answer;
  /** Of the cluster, for the hints in event ids. */
  readonly names: readonly string[];
};

/** Drawn again only when something of it has changed. */
export function AnswerView({ answer, names }: AnswerProps) {
  return useMemo(
    () => (
      <article class={`said assistant ${answer.state}`} aria-label="Answer">
        <Body answer={answer} names={names} />
        <Footer answer={answer} names={names} />
      </article>
    ),
    [answer, names],
  );
}

export const workerNow = ({ answer, names }: AnswerProps): string | undefined =>
  answer.worker ?? workerOf(answer.hint, names);

function Body({ answer, names }: AnswerProps) {
  const seamAt = (into: Seam["into"]) => (nth: number) => {
    const seam = answer.seams.filter((each) => each.into === into)[nth];
    return seam && <SeamMark seam={seam} names={names} />;
  };
  const { content, reasoning, calls } = answer;
  return (
    <>
      {reasoning !== "" && <Reasoning answer={answer} seam={seamAt("reasoning")} />}
      {content !== "" && <Markdown text={content} seam={seamAt("content")} />}
      {calls.map((call, at) => (
        <Call key={call.id || at} call={call} />
      ))}
      {answer.seams
        .filter(({ into }) => into === "calls")
        .map((seam) => (
          <SeamMark key={seam.tokens} seam={seam} names={names} />
        ))}
      {isEmpty(answer) && !isOver(answer) && (
        <p class="waits">
          <span class="caret" aria-hidden="true" />
          {answer.state === "reconnecting"
            ? "The connection was lost; trying again"
            : "Waits for the first token"}
        </p>
      )}
      {answer.error !== undefined && (
        <p class="answer-error" role="alert">
          <Icon name="warning" />
          {answer.error}
        </p>
      )}
    </>
  );
}

/** Where another worker went on. */
function SeamMark({ seam, names }: { seam: Seam; names: readonly string[] }) {
  const from = workerOf(seam.from_hint, names) ?? "one worker";
  const to = workerOf(seam.to_hint, names) ?? "another one";
  const says = `After ${count(seam.tokens)} tokens the answer moved from ${from} to ${to}.`;
  return (
    <span class="seam" role="note" title={says} aria-label={says}>
      <Icon name="swap" size={12} />
      <span aria-hidden="true">{from === to ? `${to}, again` : `${from} → ${to}`}</span>
    </span>
  );
}

type ReasoningProps = {
  readonly answer: Answer;
  readonly seam: (nth: number) => preact.ComponentChildren;
};

function Reasoning({ answer, seam }: ReasoningProps) {
  const { reasoning, content, calls, usage } = answer;
  const thinks = !isOver(answer) && content === "" && calls.length === 0;
  const tokens = usage?.reasoning_tokens ?? 0;
  let nth = 0;
  return (
    <details class="reasoning">
      <summary>
        {thinks ? "Thinks" : "Reasoning"}
        <span class="soft">{tokens > 0 ? ` ${count(tokens)} tokens` : ""}</span>
      </summary>
      <p>
        {plain(reasoning, () => {
          nth += 1;
          return seam(nth - 1);
        })}
      </p>
    </details>
  );
}

function Call({ call }: { call: ToolCall }) {
  return (
    <div class="call">
      <header>
        <Icon name="export" />
        <span class="mono">{call.name || "…"}</span>
      </header>
      <pre>{prettyJson(call.arguments)}</pre>
    </div>
  );
}

/** As it is, while it is not complete. */
function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** One line, of the same height from the first moment on. */
function Footer({ answer, names }: AnswerProps) {
  const { usage, tokens, finish_reason, request, reconnects } = answer;
  const worker = workerNow({ answer, names });
  const prefill = answer.prefill_worker;
  const ttft_ms = ttftOf(answer);
  const per_s = tokensPerSecond(answer);
  const figures = [
    worker && (prefill && prefill !== worker ? `${worker}, prompt by ${prefill}` : worker),
    ttft_ms !== undefined && `TTFT ${duration(ttft_ms)}`,
    per_s !== undefined && `${rate(per_s)} tokens/s`,
    tokens > 0 && `answer ${count(usage?.completion_tokens ?? tokens)} tokens`,
    usage && `prompt ${count(usage.prompt_tokens)} tokens, ${count(usage.cached_tokens)} cached`,
    reconnects > 0 && `reconnected ${reconnects}×`,
    finish_reason === "length" && "cut at the token limit",
    answer.state === "stopped" && "stopped",
  ].filter((text) => typeof text === "string" && text !== "");
  return (
    <footer>
      <span class="figures" title="TTFT: time to first token">
        {figures.join(" · ")}
      </span>
      {isOver(answer) && request !== "" && config.mode === "inspector" && (
        <a class="button quiet" href={hrefOf("requests", request)}>
          <Icon name="requests" />
          <span>Request</span>
        </a>
      )}
      {isOver(answer) && answer.content !== "" && (
        <CopyButton text={() => answer.content.replaceAll(SEAM_MARK, "")}>Copy</CopyButton>
      )}
    </footer>
  );
}
