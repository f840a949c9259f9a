/** `{% macro %}` and `{% call %}`. */

import { takeCharacters, takeSteps } from "../budget.ts";
import { fail } from "../errors.ts";
import type { CallBlock, MacroOf, Parameter } from "../syntax/ast.ts";
import { callValue } from "../values/attributes.ts";
import { show } from "../values/show.ts";
import { Callable, Dict, type Named, Tuple } from "../values/values.ts";
import { captured, compileBody, type Execute, GOES_ON, type TemplatePlace } from "./compile.ts";
import { compileArguments, compileExpression } from "./compile-expression.ts";
import { type Evaluate, Frame, reads, Scope } from "./scope.ts";

type Slot = {
  readonly name: string;
  readonly slot: number;
  readonly otherwise: Evaluate | undefined;
};

/** Slots of what a macro may also be given; undefined where it does not ask. */
type Extra = Readonly<Record<"caller" | "varargs" | "kwargs", number | undefined>>;

/** Makes the macro in the frame that it is defined in: it sees the variables there. */
type Make = (frame: Frame) => Callable;

function compileCallable(
  name: string,
  { parameters, body }: Pick<MacroOf, "parameters" | "body">,
  outer: TemplatePlace,
): Make {
  const unit = { size: 0, depth: outer.scope.unit.depth + 1 };
  const scope = new Scope(unit, outer.scope).declare(...parameters.map((one) => one.name));
  const asks = (extra: string): boolean =>
    !parameters.some((one) => one.name === extra) && reads(body, extra);
  const extras = ["caller", "varargs", "kwargs"].filter(asks);
  scope.declare(...extras).analyze(body);
  const place = { ...outer, scope };
  const slotOf = (extra: string) => (extras.includes(extra) ? scope.slotOf(extra) : undefined);
  const extra: Extra = {
    caller: slotOf("caller"),
    varargs: slotOf("varargs"),
    kwargs: slotOf("kwargs"),
  };
  const slots = parameters.map((parameter) => compileParameter(parameter, place));
  const enter = scope.entering(outer.globals);
  const execute = compileBody(body, place);
  const fields = {
    name,
    arguments: Tuple.fromList(parameters.map((one) => one.name)),
    catch_kwargs: extra.kwargs !== undefined,
    catch_varargs: extra.varargs !== undefined,
    caller: extra.caller !== undefined,
  };
  return (parent) => {
    const call = (args: readonly unknown[], named: Named): string => {
      takeSteps(1);
      const frame = new Frame(unit.size, parent.run, parent);
      bind(name, frame, slots, extra, args, named);
      enter?.(frame);
      return captured(frame, execute).text;
    };
    return new Callable(name, call, "Macro", fields);
  };
}

const compileParameter = ({ name, otherwise }: Parameter, place: TemplatePlace): Slot => ({
  name,
  slot: place.scope.slotOf(name),
  otherwise: otherwise && compileExpression(otherwise, place),
});

function bind(
  name: string,
  frame: Frame,
  slots: readonly Slot[],
  extra: Extra,
  args: readonly unknown[],
  named: Named,
): void {
  let by_name = 0;
  for (const [i, { name: parameter, slot, otherwise }] of slots.entries()) {
    if (i < args.length) frame.slots[slot] = args[i];
    else if (named.has(parameter)) {
      frame.slots[slot] = named.get(parameter);
      by_name += 1;
    } else if (otherwise !== undefined) frame.slots[slot] = otherwise(frame);
  }
  if (extra.varargs !== undefined) {
    frame.slots[extra.varargs] = Tuple.fromList(args.slice(slots.length));
  } else if (args.length > slots.length) {
    fail(`macro '${name}' takes not more than ${slots.length} argument(s)`);
  }
  if (extra.caller !== undefined && named.has("caller")) {
    frame.slots[extra.caller] = named.get("caller");
    by_name += 1;
  }
  if (extra.kwargs === undefined && by_name === named.size) return;
  const places = new Map(slots.map((slot, i) => [slot.name, i]));
  const left = [...named].filter(
    ([key]) => !places.has(key) && !(key === "caller" && extra.caller !== undefined),
  );
  const twice = [...named.keys()].find((key) => (places.get(key) ?? args.length) < args.length);
  if (twice !== undefined) fail(`macro '${name}' got two values for argument '${twice}'`);
  if (extra.kwargs !== undefined) frame.slots[extra.kwargs] = Dict.from(left);
  else fail(`macro '${name}' takes no keyword argument '${left[0]?.[0]}'`);
}

export function compileMacro(macro: MacroOf, place: TemplatePlace): Execute {
  const make = compileCallable(macro.name, macro, place);
  const slot = place.scope.slotOf(macro.name);
  return (frame) => {
    frame.slots[slot] = make(frame);
    return GOES_ON;
  };
}

/** `{% call(x) macro() %}…`: the body is what the macro calls as `caller(x)`. */
export function compileCallBlock(block: CallBlock, place: TemplatePlace): Execute {
  const make = compileCallable("caller", block, place);
  const callee = compileExpression(block.call.callee, place);
  const give = compileArguments(block.call.given, place);
  return (frame) => {
    const { args, named } = give(frame);
    const called = new Map(named).set("caller", make(frame));
    const text = show(callValue(callee(frame), args, called, "the macro"));
    takeCharacters(text.length);
    frame.run.out += text;
    return GOES_ON;
  };
}
