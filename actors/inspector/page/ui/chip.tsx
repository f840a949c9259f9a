/** Small marks: a chip of text, and the state of an actor, told by a shape and a word. */
import type { ComponentChildren } from "preact";

export type Tone = "plain" | "good" | "warn" | "bad" | "accent";

type ChipProps = {
  readonly children: ComponentChildren;
  readonly tone?: Tone;
  readonly title?: string;
};

export function Chip({ children, tone = "plain", title }: ChipProps) {
  return (
    <span class={`chip ${tone}`} title={title}>
      {children}
    </span>
  );
}

type Look = { readonly tone: Tone; readonly shape: string; readonly says: string };

const looks: Readonly<Record<string, Look>> = {
  running: { tone: "good", shape: "●", says: "takes messages" },
  ready: { tone: "good", shape: "●", says: "ready" },
  waiting: { tone: "good", shape: "◐", says: "waits for an answer inside a message" },
  starting: { tone: "warn", shape: "◔", says: "starts" },
  restarting: { tone: "warn", shape: "↻", says: "starts again" },
  draining: { tone: "warn", shape: "▽", says: "finishes what it has, takes nothing new" },
  suspended: { tone: "warn", shape: "‖", says: "takes no messages until it is resumed" },
  stopping: { tone: "warn", shape: "◒", says: "stops" },
  stopped: { tone: "plain", shape: "○", says: "has stopped" },
  crash_loop: { tone: "bad", shape: "✕", says: "a child keeps ending" },
  crashed: { tone: "bad", shape: "✕", says: "has crashed" },
  frozen: { tone: "bad", shape: "❄", says: "the system has stopped its process" },
};

const UNKNOWN: Look = { tone: "plain", shape: "◌", says: "" };

export const lookOf = (state: string): Look => looks[state] ?? UNKNOWN;

/** Never by colour alone. */
export function State({ state }: { state: string }) {
  const { tone, shape, says } = lookOf(state);
  return (
    <span class={`state ${tone}`} title={says || state}>
      <i aria-hidden="true">{shape}</i>
      {state.replaceAll("_", " ")}
    </span>
  );
}
