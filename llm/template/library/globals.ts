/** Functions that every template may call. */
import { fail, TemplateRaisedError } from "../errors.ts";
import { show } from "../values/show.ts";
import { wholeArgument } from "../values/signature.ts";
import {
  Callable,
  Dict,
  entriesOf,
  Host,
  isMapping,
  itemsOf,
  type Named,
  Namespace,
  Range,
} from "../values/values.ts";

function range(args: readonly unknown[]): Range {
  if (args.length === 0 || args.length > 3) fail("range() takes 1 to 3 arguments");
  const [first = 0, second, third = 1] = args.map((value) => wholeArgument("range()", value));
  if (third === 0) fail("range() arg 3 must not be zero");
  return second === undefined ? new Range(0, first, 1) : new Range(first, second, third);
}

function dict(args: readonly unknown[], named: Named): Dict {
  const [from] = args;
  const made = new Dict();
  if (isMapping(from)) for (const [key, value] of entriesOf(from)) made.set(key, value);
  else if (from !== undefined) {
    for (const pair of itemsOf(from)) {
      const [key, value] = itemsOf(pair);
      made.set(key, value);
    }
  }
  for (const [name, value] of named) made.set(name, value);
  return made;
}

function namespace(args: readonly unknown[], named: Named): Namespace {
  const made = new Namespace();
  for (const [key, value] of entriesOf(dict(args, named))) {
    const name = show(key);
    if (name.startsWith("_")) fail(`a namespace has no fields such as '${name}'`);
    made.fields.set(name, value);
  }
  return made;
}

class Cycler extends Host {
  readonly type = "Cycler";
  readonly #items: readonly unknown[];
  #at = 0;
  constructor(items: readonly unknown[]) {
    super();
    if (items.length === 0) fail("at least one item has to be provided");
    this.#items = items;
  }
  attribute(name: string): unknown {
    switch (name) {
      case "current":
        return this.#items[this.#at];
      case "next":
        return new Callable(name, () => {
          const item = this.#items[this.#at];
          this.#at = (this.#at + 1) % this.#items.length;
          return item;
        });
      case "reset":
        return new Callable(name, () => {
          this.#at = 0;
          return null;
        });
      default:
        return undefined;
    }
  }
}

/** Empty at its first call, the separator after it. */
function joiner(args: readonly unknown[]): Callable {
  const [separator = ", "] = args;
  let used = false;
  return new Callable("joiner", () => {
    const text = used ? separator : "";
    used = true;
    return text;
  });
}

const made: readonly (readonly [string, Callable["call"]])[] = [
  ["range", range],
  ["dict", dict],
  ["namespace", namespace],
  ["cycler", (args) => new Cycler(args)],
  ["joiner", joiner],
  [
    "raise_exception",
    ([message]) => {
      throw new TemplateRaisedError(show(message));
    },
  ],
];

const fromkeys = new Callable("fromkeys", ([keys, value = null]) =>
  Dict.from(itemsOf(keys).map((key) => [key, value])),
);

export const globals: ReadonlyMap<string, unknown> = new Map(
  made.map(([name, call]) => {
    const fields = name === "dict" ? { fromkeys } : {};
    return [name, new Callable(name, call, "function", fields)];
  }),
);
