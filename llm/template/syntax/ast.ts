/** The syntax tree of a template. */

export type Expression =
  | { readonly type: "const"; readonly value: unknown }
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "tuple" | "list"; readonly items: readonly Expression[] }
  | { readonly type: "dict"; readonly pairs: readonly (readonly [Expression, Expression])[] }
  | {
      readonly type: "if";
      readonly test: Expression;
      readonly yes: Expression;
      readonly no: Expression | undefined;
    }
  | {
      readonly type: "binary";
      readonly sign: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly type: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly type: "not"; readonly value: Expression }
  | { readonly type: "sign"; readonly sign: "+" | "-"; readonly value: Expression }
  | { readonly type: "concat"; readonly items: readonly Expression[] }
  | Comparison
  | { readonly type: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly type: "item"; readonly object: Expression; readonly key: Expression }
  | SliceOf
  | CallOf
  | FilterOf
  | TestOf;

export type Comparison = {
  readonly type: "compare";
  readonly first: Expression;
  /** `a < b <= c` has two. */
  readonly further: readonly { readonly sign: string; readonly value: Expression }[];
};

export type SliceOf = {
  readonly type: "slice";
  readonly object: Expression;
  readonly start: Expression | undefined;
  readonly stop: Expression | undefined;
  readonly step: Expression | undefined;
};

export type Arguments = {
  readonly args: readonly Expression[];
  readonly named: readonly { readonly name: string; readonly value: Expression }[];
  /** `*list` and `**mapping`. */
  readonly rest: Expression | undefined;
  readonly named_rest: Expression | undefined;
};

export type CallOf = {
  readonly type: "call";
  readonly callee: Expression;
  readonly given: Arguments;
};

export type FilterOf = {
  readonly type: "filter";
  /** Undefined: the text that a block made. */
  readonly value: Expression | undefined;
  readonly name: string;
  readonly given: Arguments;
};

export type TestOf = {
  readonly type: "test";
  readonly value: Expression;
  readonly name: string;
  readonly given: Arguments;
};

/** Where a value goes: a name, a field of a namespace, several names. */
export type Target =
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "field"; readonly object: string; readonly name: string }
  | { readonly type: "tuple"; readonly items: readonly Target[] };

export type Parameter = { readonly name: string; readonly otherwise: Expression | undefined };

export type Statement =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "output"; readonly value: Expression }
  | IfOf
  | ForOf
  | { readonly type: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly type: "set_block";
      readonly target: Target;
      /** Applied to the text, innermost first; undefined: none. */
      readonly filter: Expression | undefined;
      readonly body: Body;
    }
  | MacroOf
  | CallBlock
  | { readonly type: "filter_block"; readonly filter: Expression; readonly body: Body }
  | WithOf
  /** A scope without meaning of its own: `autoescape`, `generation`. */
  | { readonly type: "scope"; readonly body: Body }
  | { readonly type: "block"; readonly name: string; readonly body: Body }
  | { readonly type: "break" | "continue" }
  /** A statement that needs a loader, which chat templates do not have. */
  | { readonly type: "refused"; readonly message: string };

export type Body = readonly Statement[];

export type IfOf = {
  readonly type: "if";
  readonly test: Expression;
  readonly yes: Body;
  /** `elif` is an `if` in here. */
  readonly no: Body;
};

export type ForOf = {
  readonly type: "for";
  readonly target: Target;
  readonly list: Expression;
  readonly test: Expression | undefined;
  readonly recursive: boolean;
  readonly body: Body;
  readonly otherwise: Body;
};

export type MacroOf = {
  readonly type: "macro";
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: Body;
};

export type CallBlock = {
  readonly type: "call_block";
  readonly call: CallOf;
  readonly parameters: readonly Parameter[];
  readonly body: Body;
};

export type WithOf = {
  readonly type: "with";
  readonly pairs: readonly { readonly target: Target; readonly value: Expression }[];
  readonly body: Body;
};

/** The expressions right inside of one. */
export function childrenOf(expression: Expression): readonly Expression[] {
  const present = (...items: readonly (Expression | undefined)[]): Expression[] =>
    items.filter((item) => item !== undefined);
  switch (expression.type) {
    case "const":
    case "name":
      return [];
    case "tuple":
    case "list":
    case "concat":
      return expression.items;
    case "dict":
      return expression.pairs.flat();
    case "if":
      return present(expression.test, expression.yes, expression.no);
    case "binary":
    case "and":
    case "or":
      return [expression.left, expression.right];
    case "not":
    case "sign":
      return [expression.value];
    case "compare":
      return [expression.first, ...expression.further.map(({ value }) => value)];
    case "attribute":
      return [expression.object];
    case "item":
      return [expression.object, expression.key];
    case "slice":
      return present(expression.object, expression.start, expression.stop, expression.step);
    case "call":
      return [expression.callee, ...givenIn(expression.given)];
    case "filter":
    case "test":
      return [...present(expression.value), ...givenIn(expression.given)];
  }
}

export function givenIn({ args, named, rest, named_rest }: Arguments): readonly Expression[] {
  const last = [rest, named_rest].filter((item) => item !== undefined);
  return [...args, ...named.map(({ value }) => value), ...last];
}
