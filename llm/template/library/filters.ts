/** All filters by name; here those that use other filters and tests. */

import { fail } from "../errors.ts";
import { pathReader } from "../values/attributes.ts";
import { show } from "../values/show.ts";
import { isTruthy, itemsOf, Lazy, type Named, NO_NAMES } from "../values/values.ts";
import { sequenceFilters } from "./filters-sequence.ts";
import { type Filter, textFilters } from "./filters-text.ts";
import { knowFilters, type Test, tests } from "./tests.ts";

export type { Filter };

type Step = (item: unknown) => unknown;

function mapStep(args: readonly unknown[], named: Named): Step {
  if (args.length === 0 && named.has("attribute")) {
    return pathReader(named.get("attribute"), named.get("default"));
  }
  const [name, ...further] = args;
  if (name === undefined) return fail("map requires a filter argument");
  const apply = filters.get(show(name));
  return (item) => {
    if (apply === undefined) fail(`there is no filter named '${show(name)}'`);
    return apply(item, further, named);
  };
}

/** Whether an item is taken: by a test of it, or of its attribute. */
function condition(args: readonly unknown[], named: Named, of_attribute: boolean): Step {
  const [path, ...after] = of_attribute ? args : [undefined, ...args];
  if (of_attribute && path === undefined) fail("Missing parameter for attribute name");
  const read: Step = of_attribute ? pathReader(path) : (item) => item;
  const [name, ...further] = after;
  if (name === undefined) return (item) => isTruthy(read(item));
  const holds: Test | undefined = tests.get(show(name));
  return (item) => {
    if (holds === undefined) fail(`there is no test named '${show(name)}'`);
    return holds(read(item), further, named);
  };
}

/** An empty value or none gives no items, whatever the other arguments are. */
function* lazily(value: unknown, steps: () => Step, keep: boolean | undefined): Generator<unknown> {
  if (!isTruthy(value)) return;
  const step = steps();
  for (const item of itemsOf(value)) {
    if (keep === undefined) yield step(item);
    else if (isTruthy(step(item)) === keep) yield item;
  }
}

const choosing =
  (of_attribute: boolean, keep: boolean): Filter =>
  (value, args, named) =>
    new Lazy(lazily(value, () => condition(args, named, of_attribute), keep));

export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ...textFilters,
  ...sequenceFilters,
  [
    "map",
    (value, args, named = NO_NAMES) =>
      new Lazy(lazily(value, () => mapStep(args, named), undefined)),
  ],
  ["select", choosing(false, true)],
  ["reject", choosing(false, false)],
  ["selectattr", choosing(true, true)],
  ["rejectattr", choosing(true, false)],
]);

// The tests `filter` and `test` ask by name; they are looked up when they are asked.
knowFilters(new Set(filters.keys()));
