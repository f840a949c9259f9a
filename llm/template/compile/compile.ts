/** A template → one function from variables to text. */

import { beginBudget, takeCharacters, takeSteps } from "../budget.ts";
import { fail } from "../errors.ts";
import { globals } from "../library/globals.ts";
import type { Body, IfOf, Statement, Target, WithOf } from "../syntax/ast.ts";
import { parseTemplate } from "../syntax/parser.ts";
import { show } from "../values/show.ts";
import { Callable, Host, isTruthy, itemsOf, Namespace } from "../values/values.ts";
import { compileExpression, type Place } from "./compile-expression.ts";
import { compileFor } from "./compile-loop.ts";
import { compileCallBlock, compileMacro } from "./compile-macro.ts";
import { type Evaluate, Frame, namesSet, type Run, Scope } from "./scope.ts";

/**
 * From variables in an object without a prototype. Throws TemplateRuntimeError where the template
 * refuses, or Python would.
 */
export type CompiledTemplate = (variables: Record<string, unknown>) => string;

/** How a statement ended. */
export const GOES_ON = 0;
export const BREAKS = 1;
export const CONTINUES = 2;

/** A statement: writes its text to `frame.run.out`, and says how it ended. */
export type Execute = (frame: Frame) => number;

/** Throws TemplateSyntaxError. */
export function compileTemplate(source: string): CompiledTemplate {
  const body = parseTemplate(source);
  const unit = { size: 0, depth: 0 };
  const scope = new Scope(unit).analyze(body);
  const blocks = new Map<string, Execute>();
  const place: TemplatePlace = { scope, globals, blocks, root: scope };
  const enter = scope.entering(globals);
  const execute = compileBody(body, place);
  return (variables) => {
    const run: Run = { out: "", variables };
    const frame = new Frame(unit.size, run);
    beginBudget();
    if (blocks.size > 0) variables["self"] = new Self(blocks, frame);
    enter?.(frame);
    execute(frame);
    return run.out;
  };
}

/** Where statements are compiled: the blocks of the template by name are filled on the way. */
export type TemplatePlace = Place & {
  readonly blocks: Map<string, Execute>;
  readonly root: Scope;
};

/** `self.name()` writes a block once more. */
class Self extends Host {
  readonly type = "TemplateReference";
  readonly #blocks: ReadonlyMap<string, Execute>;
  readonly #frame: Frame;
  constructor(blocks: ReadonlyMap<string, Execute>, frame: Frame) {
    super();
    this.#blocks = blocks;
    this.#frame = frame;
  }
  attribute(name: string): unknown {
    const execute = this.#blocks.get(name);
    if (execute === undefined) return undefined;
    return new Callable(name, () => captured(this.#frame, execute).text);
  }
}

export function compileBody(body: Body, place: TemplatePlace): Execute {
  const steps = body.map((statement) => compileStatement(statement, place));
  const [first, second] = steps;
  if (first === undefined) return () => GOES_ON;
  if (second === undefined) return first;
  return (frame) => {
    for (const step of steps) {
      const ended = step(frame);
      if (ended !== GOES_ON) return ended;
    }
    return GOES_ON;
  };
}

/** The body in a scope of its own, in the frame around it. */
export function compileScoped(
  body: Body,
  place: TemplatePlace,
  parameters: readonly string[] = [],
): Execute {
  const scope = new Scope(place.scope.unit, place.scope).declare(...parameters).analyze(body);
  const enter = scope.entering(place.globals);
  const execute = compileBody(body, { ...place, scope });
  if (enter === undefined) return execute;
  return (frame) => {
    enter(frame);
    return execute(frame);
  };
}

/** The output of a body, as a text. */
export function captured(frame: Frame, execute: Execute): { text: string; ended: number } {
  const { run } = frame;
  const before = run.out;
  run.out = "";
  const ended = execute(frame);
  const text = run.out;
  run.out = before;
  return { text, ended };
}

function compileStatement(statement: Statement, place: TemplatePlace): Execute {
  switch (statement.type) {
    case "text": {
      const { text } = statement;
      return (frame) => {
        takeCharacters(text.length);
        frame.run.out += text;
        return GOES_ON;
      };
    }
    case "output": {
      const value = compileExpression(statement.value, place);
      return (frame) => {
        // Evaluated first: a macro writes to the same output while it runs.
        const text = show(value(frame));
        takeCharacters(text.length);
        frame.run.out += text;
        return GOES_ON;
      };
    }
    case "if":
      return compileIf(statement, place);
    case "for":
      return compileFor(statement, place);
    case "set": {
      const value = compileExpression(statement.value, place);
      const assign = compileTarget(statement.target, place);
      return (frame) => {
        assign(frame, value(frame));
        return GOES_ON;
      };
    }
    case "set_block":
      return compileSetBlock(statement, place);
    case "macro":
      return compileMacro(statement, place);
    case "call_block":
      return compileCallBlock(statement, place);
    case "filter_block": {
      const body = compileScoped(statement.body, place);
      const filter = compileExpression(statement.filter, place, textOf(body));
      return (frame) => {
        const text = show(filter(frame));
        takeCharacters(text.length);
        frame.run.out += text;
        return GOES_ON;
      };
    }
    case "with":
      return compileWith(statement, place);
    case "scope":
      return compileScoped(statement.body, place);
    case "block":
      return compileBlock(statement.name, statement.body, place);
    case "break":
      return () => BREAKS;
    case "continue":
      return () => CONTINUES;
    case "refused": {
      const { message } = statement;
      return () => fail(message);
    }
  }
}

const textOf =
  (body: Execute): Evaluate =>
  (frame) =>
    captured(frame, body).text;

function compileIf(statement: IfOf, place: TemplatePlace): Execute {
  const test = compileExpression(statement.test, place);
  const yes = compileBody(statement.yes, place);
  const no = compileBody(statement.no, place);
  return (frame) => (isTruthy(test(frame)) ? yes(frame) : no(frame));
}

export type Assign = (frame: Frame, value: unknown) => void;

export function compileTarget(target: Target, place: Place): Assign {
  if (target.type === "name") {
    const slot = place.scope.slotOf(target.name);
    return (frame, value) => {
      frame.slots[slot] = value;
    };
  }
  if (target.type === "field") {
    const { object, name } = target;
    const owner = compileExpression({ type: "name", name: object }, place);
    return (frame, value) => {
      const namespace = owner(frame);
      if (!(namespace instanceof Namespace)) {
        fail(`cannot assign attribute '${name}' on non-namespace object '${object}'`);
      }
      if (name.startsWith("_")) fail(`a namespace has no fields such as '${name}'`);
      namespace.fields.set(name, value);
    };
  }
  const parts = target.items.map((part) => compileTarget(part, place));
  return (frame, value) => {
    const items = Array.isArray(value) ? value : itemsOf(value);
    if (items.length !== parts.length) {
      const few = items.length < parts.length ? "not enough" : "too many";
      fail(`${few} values to unpack (expected ${parts.length}, got ${items.length})`);
    }
    for (let i = 0; i < parts.length; i += 1) parts[i]?.(frame, items[i]);
  };
}

function compileSetBlock(
  statement: Extract<Statement, { type: "set_block" }>,
  place: TemplatePlace,
): Execute {
  const body = compileScoped(statement.body, place);
  const filter = statement.filter && compileExpression(statement.filter, place, textOf(body));
  const assign = compileTarget(statement.target, place);
  return (frame) => {
    if (filter !== undefined) {
      assign(frame, filter(frame));
      return GOES_ON;
    }
    const { text, ended } = captured(frame, body);
    if (ended === GOES_ON) assign(frame, text);
    return ended;
  };
}

function compileWith({ pairs, body }: WithOf, place: TemplatePlace): Execute {
  const values = pairs.map(({ value }) => compileExpression(value, place));
  const names = pairs.flatMap(({ target }) => namesSet(target));
  const scope = new Scope(place.scope.unit, place.scope).declare(...names).analyze(body);
  const inner = { ...place, scope };
  const assigns = pairs.map(({ target }) => compileTarget(target, inner));
  const enter = scope.entering(place.globals);
  const execute = compileBody(body, inner);
  return (frame) => {
    const given = values.map((read) => read(frame));
    enter?.(frame);
    for (let i = 0; i < assigns.length; i += 1) assigns[i]?.(frame, given[i]);
    return execute(frame);
  };
}

/** A block sees what the template set, not the loop that it stands in. */
function compileBlock(name: string, body: Body, place: TemplatePlace): Execute {
  const unit = { size: 0, depth: place.root.unit.depth + 1 };
  const scope = new Scope(unit, place.root).analyze(body);
  const enter = scope.entering(place.globals);
  const execute = compileBody(body, { ...place, scope });
  const hops = place.scope.unit.depth - place.root.unit.depth;
  const block: Execute = (root) => {
    takeSteps(1);
    const frame = new Frame(unit.size, root.run, root);
    enter?.(frame);
    return execute(frame);
  };
  if (place.blocks.has(name)) fail(`block '${name}' defined twice`);
  place.blocks.set(name, block);
  return (frame) => {
    let root = frame;
    for (let i = 0; i < hops; i += 1) root = root.parent as Frame;
    block(root);
    return GOES_ON;
  };
}
