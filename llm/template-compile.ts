/**
 * Compiles the parsed tree of a chat template to one function over plain values, for a tenth of
 * what the library's interpreter takes. It equals the library's output or throws: whatever it throws
 * (SURPRISE, the template's own refusal, a stack that is too deep), the caller renders by the
 * library then, which says what is wrong, or knows what the compiled form does not.
 */
import {
  declaredIn,
  type Expression,
  type ForNode,
  type IfNode,
  type MacroNode,
  type Node,
  namesOf,
  type SetNode,
} from "./template-ast.ts";
import {
  compileExpression,
  compileFilter,
  compileListOr,
  type MacroFunction,
} from "./template-expressions.ts";
import type { Given } from "./template-filters.ts";
import {
  CONSTANTS,
  type Evaluate,
  Frame,
  Scope,
  UNKNOWN,
  type Unit,
  type Variables,
} from "./template-scope.ts";
import { isMapping, isTruthy, Namespace, SURPRISE, show } from "./template-values.ts";

/** Gives the text, or throws: then the library must render. */
export type CompiledTemplate = (variables: Variables) => string;

/** A statement: gives its text. */
type Write = (frame: Frame) => string;

/** `program` is `Template.parsed` of the library. Undefined when it holds something unknown. */
export function compileTemplate(program: { readonly body: unknown }): CompiledTemplate | undefined {
  const nodes = program.body as readonly Node[];
  const unit: Unit = { size: 0, is_macro: false, template: { macros_read_loop: false } };
  try {
    const write = compileBlock(nodes, new Scope(unit, declaredIn(nodes)));
    return (variables) => write(new Frame(unit.size, variables));
  } catch (thrown) {
    if (thrown === UNKNOWN) return undefined;
    throw thrown;
  }
}

/** Variables that change the meaning of a constant, or that the library refuses. */
export function areOrdinary(variables: Variables): boolean {
  return Object.keys(variables).every((name) => name !== "namespace" && !CONSTANTS.has(name));
}

function compileBlock(nodes: readonly Node[], scope: Scope): Write {
  const writes = nodes.flatMap((node) => compileNode(node, scope) ?? []);
  const [only, ...further] = writes;
  if (only === undefined) return () => "";
  if (further.length === 0) return only;
  return (frame) => {
    let text = "";
    for (const write of writes) text += write(frame);
    return text;
  };
}

/** Undefined for what leaves no trace. */
function compileNode(node: Node, scope: Scope): Write | undefined {
  switch (node.type) {
    case "Comment":
      return undefined;
    case "StringLiteral": {
      const { value } = node;
      return () => value;
    }
    case "If":
      return compileIf(node, scope);
    case "For":
      return compileFor(node, scope);
    case "Set":
      return compileSet(node, scope);
    case "Macro":
      return compileMacro(node, scope);
    case "FilterStatement":
      return shown(compileFilter(compileBlock(node.body, scope), node.filter, scope));
    case "Break":
    case "Continue":
      return compileJump(node.type === "Break" ? BREAK : CONTINUE, scope);
    default:
      return shown(compileExpression(node, scope));
  }
}

function shown(value: Evaluate): Write {
  return (frame) => show(value(frame));
}

function compileIf(node: IfNode, scope: Scope): Write {
  const test = compileExpression(node.test, scope);
  const yes = compileBlock(node.body, scope);
  const no = compileBlock(node.alternate, scope);
  return (frame) => (isTruthy(test(frame)) ? yes(frame) : no(frame));
}

type Assign = (frame: Frame, value: unknown) => void;

function compileSet(node: SetNode, scope: Scope): Write {
  const { assignee } = node;
  const tuple = assignee.type === "TupleLiteral";
  const value =
    node.value === null
      ? compileBlock(node.body, scope)
      : (tuple ? compileListOr : compileExpression)(node.value, scope);
  const assign = compileTarget(assignee, scope);
  return (frame) => {
    assign(frame, value(frame));
    return "";
  };
}

function compileTarget(target: Expression, scope: Scope): Assign {
  if (target.type === "MemberExpression") {
    const { object, property, computed } = target;
    if (computed || property.type !== "Identifier") throw UNKNOWN;
    const owner = compileExpression(object, scope);
    return (frame, value) => {
      const namespace = owner(frame);
      if (!(namespace instanceof Namespace)) throw SURPRISE;
      namespace.fields.set(property.value, value);
    };
  }
  if (target.type === "Identifier") {
    const slot = scope.slotOf(target.value);
    return (frame, value) => {
      frame.slots[slot] = value;
    };
  }
  if (target.type !== "TupleLiteral") throw UNKNOWN;
  const slots = target.value.map((item) => {
    if (item.type !== "Identifier") throw UNKNOWN;
    return scope.slotOf(item.value);
  });
  return (frame, value) => {
    if (!Array.isArray(value) || value.length !== slots.length) throw SURPRISE;
    for (const [i, slot] of slots.entries()) frame.slots[slot] = value[i];
  };
}

const BREAK = Symbol("break");
const CONTINUE = Symbol("continue");

/** Leaves the innermost loop of this template or macro; what the turn wrote so far is lost. */
function compileJump(jump: symbol, scope: Scope): Write {
  if (!scope.is_loop) throw UNKNOWN;
  scope.jumps = true;
  return () => {
    throw jump;
  };
}

/** All turns of a loop share one scope, as in the library: what one sets the next one sees. */
function compileFor(node: ForNode, outer: Scope): Write {
  const { iterable, loopvar } = node;
  const inside = [...declaredIn(node.body), ...declaredIn(node.defaultBlock)];
  const scope = new Scope(outer.unit, ["loop", ...namesOf(loopvar), ...inside], outer, true);
  const loop_slot = scope.slotOf("loop");
  const assign = compileTarget(loopvar, scope);
  const list = compileItems(iterable, loopvar, scope);
  const body = compileTurn(node.body, scope);
  const otherwise = compileBlock(node.defaultBlock, scope);
  const { template } = outer.unit;
  return (frame) => {
    scope.clear(frame);
    const items = list(frame);
    let text = "";
    let turned = false;
    for (let i = 0; i < items.length; i++) {
      if (scope.reads_loop || template.macros_read_loop) frame.slots[loop_slot] = loopAt(items, i);
      assign(frame, items[i]);
      const turn = body(frame);
      if (turn === BREAK) break;
      if (turn === CONTINUE) continue;
      text += turn as string;
      turned = true;
    }
    return turned ? text : text + otherwise(frame);
  };
}

function loopAt(items: readonly unknown[], i: number): Readonly<Record<string, unknown>> {
  const { length } = items;
  return {
    index: i + 1,
    index0: i,
    revindex: length - i,
    revindex0: length - i - 1,
    first: i === 0,
    last: i === length - 1,
    length,
    previtem: i > 0 ? items[i - 1] : undefined,
    nextitem: i < length - 1 ? items[i + 1] : undefined,
  };
}

/** The body of a loop: its text, or how it was left. */
function compileTurn(nodes: readonly Node[], scope: Scope): (frame: Frame) => string | symbol {
  const body = compileBlock(nodes, scope);
  if (!scope.jumps) return body;
  return (frame) => {
    try {
      return body(frame);
    } catch (thrown) {
      if (thrown === BREAK || thrown === CONTINUE) return thrown;
      throw thrown;
    }
  };
}

/** What a loop goes over: a list, or a mapping's keys; those that its condition takes. */
function compileItems(
  iterable: Expression,
  loopvar: ForNode["loopvar"],
  scope: Scope,
): (frame: Frame) => readonly unknown[] {
  if (iterable.type !== "SelectExpression") return compileAllItems(iterable, scope);
  const all = compileAllItems(iterable.lhs, scope);
  const inner = new Scope(scope.unit, namesOf(loopvar), scope);
  const assign = compileTarget(loopvar, inner);
  const test = compileExpression(iterable.test, inner);
  return (frame) =>
    all(frame).filter((item) => {
      assign(frame, item);
      return isTruthy(test(frame));
    });
}

function compileAllItems(iterable: Expression, scope: Scope): (frame: Frame) => readonly unknown[] {
  const value = compileListOr(iterable, scope);
  return (frame) => {
    const items = value(frame);
    if (Array.isArray(items)) return items;
    if (!isMapping(items)) throw SURPRISE;
    return Object.keys(items);
  };
}

function compileMacro(node: MacroNode, outer: Scope): Write {
  const unit: Unit = { size: 0, is_macro: true, template: outer.unit.template };
  const parameters = node.args.map((parameter) =>
    parameter.type === "Identifier"
      ? { name: parameter.value, otherwise: undefined }
      : { name: parameter.key.value, otherwise: parameter.value },
  );
  const names = parameters.map(({ name }) => name);
  const scope = new Scope(unit, [...names, ...declaredIn(node.body)]);
  const places = parameters.map(({ name, otherwise }) => ({
    name,
    slot: scope.slotOf(name),
    otherwise: otherwise && compileExpression(otherwise, scope),
  }));
  const body = compileBlock(node.body, scope);
  const call = (given: Given, caller: Frame, site: Scope): string => {
    const frame = new Frame(unit.size, caller.variables, caller, site);
    bind(frame, places, given);
    return body(frame);
  };
  const macro: MacroFunction = Object.assign(call, { is_macro: true } as const);
  const slot = outer.slotOf(node.name.value);
  return (frame) => {
    frame.slots[slot] = macro;
    return "";
  };
}

type Place = {
  readonly name: string;
  readonly slot: number;
  readonly otherwise: Evaluate | undefined;
};

/** All parameters are bound before the first default is worked out. */
function bind(frame: Frame, places: readonly Place[], { args, named }: Given): void {
  let by_name = 0;
  const waiting: Place[] = [];
  for (const [i, place] of places.entries()) {
    const is_named = i >= args.length && named.has(place.name);
    if (is_named) by_name++;
    else if (i >= args.length && place.otherwise !== undefined) waiting.push(place);
    frame.slots[place.slot] = is_named ? named.get(place.name) : args[i];
  }
  if (args.length > places.length || by_name < named.size) throw SURPRISE;
  for (const { slot, otherwise } of waiting) frame.slots[slot] = otherwise?.(frame);
}
