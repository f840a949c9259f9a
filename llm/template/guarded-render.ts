/**
 * Rendering a chat template so that only its own text makes control tokens. Where a user's text
 * could make one, a barrier is put into it before the template runs: a number that occurs in
 * nothing else. It keeps the token from being found, and is no part of the text that is tokenized
 * (`EncodeOptions.barrier`). A template does the same with and without barriers, or they are put
 * elsewhere: its text is compared with what it renders of the conversation as it is.
 */
import { ChatTemplateError } from "./chat-template.ts";
import type { ControlMarks } from "./control-marks.ts";

export type Rendered = {
  readonly text: string;
  /** Stands in `text` where a user's text is kept from being a control token. */
  readonly barrier?: string;
};

/** A text somewhere in what is rendered, and where barriers may stand in it. */
type Site = { readonly text: string; readonly at: number };

/** Renders that finding out what a template looks at may take; beyond, every barrier stays. */
const MAX_RENDERS = 16;

/** Marks inside a turn, such as `</think>`, which are harmless in a user's text. */
const INNER_MARK = /(think|thought|reason|answer|tool)/i;

/** `input`: JSON-like values; all texts in it count as a user's. Throws what `render` throws. */
export function renderGuarded<Input>(
  marks: ControlMarks,
  input: Input,
  render: (input: Input) => string,
): Rendered {
  const text = render(input);
  if (!touchesAny(marks, input)) return { text };
  const sites = sitesOf(marks, input);
  const barrier = barrierFor([text, JSON.stringify(input), ...marks.texts]);
  const guarded = (kept: readonly Site[]): string | undefined => {
    try {
      return render(withBarriers(input, kept, barrier));
    } catch {
      return undefined; // it refuses what it does not know again
    }
  };
  const isSame = (shown: string | undefined): boolean => shown?.replaceAll(barrier, "") === text;
  const all = guarded(sites);
  if (all !== undefined && isSame(all)) return { text: all, barrier };
  // The template looks into some text: marks of reasoning that it takes apart there it has to find.
  let renders = 0;
  const kept = sites.filter((site) => {
    return !isReadBy(site) || ++renders > MAX_RENDERS || isSame(guarded([site]));
  });
  const some = guarded(kept) ?? all;
  if (some !== undefined) return { text: some, barrier };
  const message = "a message holds the spelling of a control token where the template reads it";
  throw new ChatTemplateError("template_refused", message);
}

/** Does the template take apart what begins at this place? A turn's marks never are. */
function isReadBy(site: Site): boolean {
  return INNER_MARK.test(site.text.slice(Math.max(0, site.at - 2), site.at + 24));
}

function touchesAny(marks: ControlMarks, value: unknown): boolean {
  if (typeof value === "string") return marks.touches(value);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (touchesAny(marks, item)) return true;
    return false;
  }
  for (const key in value) {
    if (marks.touches(key)) return true;
    if (touchesAny(marks, (value as Record<string, unknown>)[key])) return true;
  }
  return false;
}

/** Every place in every text, equal texts once. */
function sitesOf(marks: ControlMarks, input: unknown): Site[] {
  const found = new Map<string, readonly number[]>();
  const look = (value: unknown): void => {
    if (typeof value === "string") {
      if (found.has(value)) return;
      const cuts = marks.cuts(value);
      if (cuts.length > 0) found.set(value, cuts);
    } else if (Array.isArray(value)) {
      for (const item of value) look(item);
    } else if (typeof value === "object" && value !== null) {
      for (const key of Object.keys(value)) {
        look(key);
        look((value as Record<string, unknown>)[key]);
      }
    }
  };
  look(input);
  return [...found].flatMap(([text, cuts]) => cuts.map((at) => ({ text, at })));
}

function withBarriers<Input>(input: Input, sites: readonly Site[], barrier: string): Input {
  const cuts = new Map<string, number[]>();
  for (const { text, at } of sites) {
    const known = cuts.get(text);
    if (known === undefined) cuts.set(text, [at]);
    else known.push(at);
  }
  return mapTexts(input, (text) => {
    const places = cuts.get(text);
    if (places === undefined) return text;
    let out = "";
    let from = 0;
    for (const at of places) {
      out += text.slice(from, at) + barrier;
      from = at;
    }
    return out + text.slice(from);
  });
}

/** The same value with other texts, keys among them. */
function mapTexts<Value>(value: Value, map: (text: string) => string): Value {
  if (typeof value === "string") return map(value) as Value;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map)) as Value;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [map(key), mapTexts(item, map)]);
  return Object.fromEntries(entries) as Value;
}

/**
 * A number that occurs in none of the texts. Templates trim, change case, show values as Python
 * does and spell JSON in ASCII: digits come out of all of that as they are. Its first digit does
 * not come again, so that no neighbour makes another one of it.
 */
function barrierFor(texts: readonly string[]): string {
  // Drawn from the texts themselves: nobody can write them so that many numbers are taken.
  let draw = Bun.hash.xxHash3(texts.join("\n")) % BARRIERS;
  for (;;) {
    const barrier = `7${draw.toString(6).padStart(DIGITS, "0")}`;
    if (!texts.some((text) => text.includes(barrier))) return barrier;
    draw = (draw + 1n) % BARRIERS;
  }
}

const DIGITS = 12;
const BARRIERS = 6n ** BigInt(DIGITS);
