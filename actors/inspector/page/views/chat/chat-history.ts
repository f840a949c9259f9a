/**
 * The conversation as it is kept in the tab: turns, how each answer was made, and the settings. The
 * API key is never among them. What is read back is checked, as the page before may have been an
 * older one.
 */
import { type Answer, isOver, newAnswer } from "./answer.ts";
import { type ChatSettings, defaultSettings, type Turn } from "./chat-request.ts";

export type Said =
  | { readonly role: "user"; readonly content: string }
  | { readonly role: "tool"; readonly call: string; readonly content: string }
  | { readonly role: "assistant"; readonly answer: Answer };

export type Kept = { readonly said: readonly Said[]; readonly settings: ChatSettings };

/** A tab's storage takes about 5 MB; older turns give way. */
const KEPT_CHARS = 1_000_000;

export function keptText({ said, settings }: Kept): string {
  let first = 0;
  for (;;) {
    const text = JSON.stringify({ said: said.slice(first), settings });
    if (text.length <= KEPT_CHARS || first >= said.length) return text;
    first += 1;
    while (first < said.length && said[first]?.role !== "user") first += 1;
  }
}

export function readKept(text: string | null): Kept {
  try {
    const { said, settings } = JSON.parse(text ?? "{}") as Partial<Kept>;
    return {
      said: Array.isArray(said) ? said.flatMap(checked) : [],
      settings: settingsOf(settings),
    };
  } catch {
    return { said: [], settings: defaultSettings };
  }
}

function settingsOf(found: Partial<ChatSettings> | undefined): ChatSettings {
  const names = Object.keys(defaultSettings) as (keyof ChatSettings)[];
  const texts = names.map((name) => [name, found?.[name]] as const);
  const known = texts.filter(([, value]) => typeof value === "string");
  return { ...defaultSettings, ...Object.fromEntries(known) };
}

/** An answer that was under way when the page closed has stopped. */
function checked(item: Said): Said[] {
  if (item?.role === "user" || item?.role === "tool") {
    return typeof item.content === "string" ? [item] : [];
  }
  if (item?.role !== "assistant" || typeof item.answer?.content !== "string") return [];
  const answer = { ...newAnswer(0), ...item.answer };
  return [{ role: "assistant", answer: isOver(answer) ? answer : { ...answer, state: "stopped" } }];
}

/** What the model is told: answers that brought nothing are left out with what they answered. */
export function turnsOf(said: readonly Said[]): readonly Turn[] {
  return said.flatMap((item, at): Turn[] => {
    if (item.role !== "assistant") return isAnswered(said, at) ? [item] : [];
    const { content, reasoning, calls } = item.answer;
    if (content === "" && calls.length === 0) return [];
    return [{ role: "assistant", content: plain(content), reasoning: plain(reasoning), calls }];
  });
}

/** A question whose answer failed without a word is asked again by its next one alone. */
function isAnswered(said: readonly Said[], at: number): boolean {
  const next = said[at + 1];
  if (next?.role !== "assistant" || said[at]?.role !== "user") return true;
  return next.answer.content !== "" || next.answer.calls.length > 0;
}

const plain = (text: string): string => text.replaceAll("\uE000", "");

/** Calls of the last answer that no result follows yet. */
export function openCalls(said: readonly Said[]) {
  const last = said.findLastIndex(({ role }) => role === "assistant");
  const item = said[last];
  if (item?.role !== "assistant" || !isOver(item.answer)) return [];
  const given = said.slice(last).flatMap((each) => (each.role === "tool" ? [each.call] : []));
  return item.answer.calls.filter(({ id }) => !given.includes(id));
}
