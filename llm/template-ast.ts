/**
 * The tree that @huggingface/jinja 0.5.11 parses a template into, as far as we compile it. The
 * library does not export its node types; a node that is not named here is refused by the compiler.
 */

export type Identifier = { readonly type: "Identifier"; readonly value: string };

export type KeywordArgument = {
  readonly type: "KeywordArgumentExpression";
  readonly key: Identifier;
  readonly value: Expression;
};

export type Slice = {
  readonly type: "SliceExpression";
  readonly start: Expression | undefined;
  readonly stop: Expression | undefined;
  readonly step: Expression | undefined;
};

export type Member = {
  readonly type: "MemberExpression";
  readonly object: Expression;
  readonly property: Expression | Slice;
  readonly computed: boolean;
};

export type Call = {
  readonly type: "CallExpression";
  readonly callee: Expression;
  readonly args: readonly (Expression | KeywordArgument | { readonly type: "SpreadExpression" })[];
};

export type List = {
  readonly type: "ArrayLiteral" | "TupleLiteral";
  readonly value: readonly Expression[];
};

export type Binary = {
  readonly type: "BinaryExpression";
  readonly operator: { readonly value: string };
  readonly left: Expression;
  readonly right: Expression;
};

export type Expression =
  | Identifier
  | Member
  | Call
  | List
  | Binary
  | { readonly type: "StringLiteral"; readonly value: string }
  | { readonly type: "IntegerLiteral"; readonly value: number }
  | { readonly type: "FloatLiteral"; readonly value: number }
  | { readonly type: "ObjectLiteral"; readonly value: ReadonlyMap<Expression, Expression> }
  | {
      readonly type: "UnaryExpression";
      readonly operator: { readonly value: string };
      readonly argument: Expression;
    }
  | {
      readonly type: "FilterExpression";
      readonly operand: Expression;
      readonly filter: Identifier | Call;
    }
  | {
      readonly type: "TestExpression";
      readonly operand: Expression;
      readonly negate: boolean;
      readonly test: Identifier;
    }
  | Select
  | {
      readonly type: "Ternary";
      readonly condition: Expression;
      readonly trueExpr: Expression;
      readonly falseExpr: Expression;
    };

/** `a if b` without else, and the condition of a loop. */
export type Select = {
  readonly type: "SelectExpression";
  readonly lhs: Expression;
  readonly test: Expression;
};

export type SetNode = {
  readonly type: "Set";
  readonly assignee: Expression;
  readonly value: Expression | null;
  readonly body: readonly Node[];
};

export type ForNode = {
  readonly type: "For";
  readonly loopvar: Identifier | List;
  readonly iterable: Expression;
  readonly body: readonly Node[];
  readonly defaultBlock: readonly Node[];
};

export type MacroNode = {
  readonly type: "Macro";
  readonly name: Identifier;
  readonly args: readonly (Identifier | KeywordArgument)[];
  readonly body: readonly Node[];
};

export type IfNode = {
  readonly type: "If";
  readonly test: Expression;
  readonly body: readonly Node[];
  readonly alternate: readonly Node[];
};

export type Node =
  | Expression
  | SetNode
  | ForNode
  | MacroNode
  | IfNode
  | {
      readonly type: "FilterStatement";
      readonly filter: Identifier | Call;
      readonly body: readonly Node[];
    }
  | { readonly type: "Break" | "Continue" | "Comment" };

/** Names that a target of `set` or `for` declares; none for `ns.field`. */
export function namesOf(target: Expression): readonly string[] {
  if (target.type === "Identifier") return [target.value];
  return target.type === "TupleLiteral" ? target.value.flatMap(namesOf) : [];
}

/** Names that statements declare in their own scope: loops and macros open one of theirs. */
export function declaredIn(nodes: readonly Node[]): readonly string[] {
  return nodes.flatMap((node) => {
    switch (node.type) {
      case "Set":
        return [...namesOf(node.assignee), ...declaredIn(node.body)];
      case "Macro":
        return [node.name.value];
      case "If":
        return [...declaredIn(node.body), ...declaredIn(node.alternate)];
      case "FilterStatement":
        return declaredIn(node.body);
      default:
        return [];
    }
  });
}
