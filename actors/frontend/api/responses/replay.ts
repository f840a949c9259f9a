/** The events of a response that is stored at its end: the same as its first stream had. */
import type { Item, KeptResponse } from "../../kept/kept-record.ts";
import { EventLog } from "./event-log.ts";
import type { GrowingItem, ItemStatus, Logprob } from "./output-items.ts";
import type { ResponseStatus } from "./response-object.ts";

/** Members that are the state of a response; the others it repeats of its request. */
const STATE = [
  ...["id", "object", "created_at", "status", "completed_at", "error", "incomplete_details"],
  ...["model", "output", "usage"],
];

/** Lines of server-sent events, those behind the number `after`. */
export function replay({ response, deltas }: KeptResponse, after: number): readonly string[] {
  const { id, created_at, model, output, status } = response as {
    readonly id: string;
    readonly created_at: number;
    readonly model: string;
    readonly output: readonly Item[];
    readonly status: ResponseStatus;
  };
  const shell = Object.fromEntries(
    Object.entries(response).filter(([name]) => !STATE.includes(name)),
  );
  const log = new EventLog({ id, created_s: created_at, model }, shell, after);
  log.begin();
  let next = 0;
  for (const item of output) {
    const whole = grownItem(item);
    const { growing, text, logprobs } = whole;
    log.openItem(growing);
    for (let at = 0, token = 0; at < text.length || token < logprobs.length; ) {
      const length = deltas[next++] ?? text.length - at;
      const part = text.slice(at, at + length);
      const isLast = at + length >= text.length;
      const some = logprobsOf(logprobs, token, part, isLast);
      log.grow(part, logprobs.length === 0 ? undefined : some);
      at += length;
      token += some.length;
      if (isLast) break;
    }
    log.closeItem(item["status"] as ItemStatus);
  }
  log.finish(response, status);
  return log.take();
}

/** Those of the tokens that `text` is made of. */
function logprobsOf(
  all: readonly Logprob[],
  from: number,
  text: string,
  isLast: boolean,
): readonly Logprob[] {
  if (isLast) return all.slice(from);
  let chars = 0;
  let to = from;
  while (to < all.length && chars < text.length) chars += all[to++]!.token.length;
  return all.slice(from, to);
}

type Grown = {
  readonly growing: GrowingItem;
  readonly text: string;
  readonly logprobs: readonly Logprob[];
};

function grownItem(item: Item): Grown {
  const id = item["id"] as string;
  if (item["type"] === "function_call") {
    const { call_id, name, arguments: text } = item as Record<string, string>;
    const growing = {
      type: "function_call",
      id,
      call_id: call_id!,
      name: name!,
      text: "",
    } as const;
    return { growing, text: text!, logprobs: [] };
  }
  const [part] = item["content"] as readonly { text: string; logprobs?: readonly Logprob[] }[];
  const { text = "", logprobs = [] } = part ?? {};
  const growing: GrowingItem =
    item["type"] === "reasoning"
      ? { type: "reasoning", id, text: "" }
      : { type: "message", id, text: "", logprobs: [] };
  return { growing, text, logprobs };
}
