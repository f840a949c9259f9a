/** What a page says that it watches. Pure. */
import { type TopicName, topicNames } from "./topic.ts";

/** `key`: which actor or which request; else "". */
export type Wish = readonly { readonly name: TopicName; readonly key: string }[];

/** One actor or one request at a time. */
const keyed = ["actor", "request"] as const;
const KEY_CHARS_MAX = 1_024;

const FORM =
  'say {"watch": ["tree","requests","load","kv","acts","planner"], "actor": ID or null, "request": ID or null}';

/** `{"watch":[…],"actor":ID|null,"request":ID|null}`; topics that are unknown here are left out. */
export function readWish(text: string): Wish | { readonly wrong: string } {
  const said = parsed(text);
  if (typeof said !== "object" || said === null) return { wrong: FORM };
  const { watch = [] } = said as { watch?: unknown };
  if (!Array.isArray(watch)) return { wrong: FORM };
  const wish: { name: TopicName; key: string }[] = [];
  for (const name of topicNames) {
    if (watch.includes(name) && !isKeyed(name)) wish.push({ name, key: "" });
  }
  for (const name of keyed) {
    const key = (said as Record<string, unknown>)[name];
    if (key === undefined || key === null) continue;
    if (typeof key !== "string" || key === "" || key.length > KEY_CHARS_MAX) return { wrong: FORM };
    wish.push({ name, key });
  }
  return wish;
}

const isKeyed = (name: TopicName): boolean => keyed.some((each) => each === name);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
