/** `{% for %}`, and what `loop` is in it. */

import { takeSteps } from "../budget.ts";
import { fail } from "../errors.ts";
import type { ForOf } from "../syntax/ast.ts";
import { equals } from "../values/operators.ts";
import { Callable, Host, isTruthy, itemsOfLoop } from "../values/values.ts";
import {
  BREAKS,
  CONTINUES,
  captured,
  compileBody,
  compileScoped,
  compileTarget,
  type Execute,
  GOES_ON,
  type TemplatePlace,
} from "./compile.ts";
import { compileExpression } from "./compile-expression.ts";
import { Frame, namesSet, reads, Scope } from "./scope.ts";

type Again = (items: unknown, depth: number) => unknown;

/** The variable `loop`. */
class Loop extends Host {
  readonly type = "LoopContext";
  index0 = -1;
  readonly #items: readonly unknown[];
  readonly #depth0: number;
  readonly #again: Again | undefined;
  #last: readonly unknown[] | undefined;
  override readonly called: Callable["call"];

  constructor(items: readonly unknown[], depth0: number, again: Again | undefined) {
    super();
    this.#items = items;
    this.#depth0 = depth0;
    this.#again = again;
    this.called = ([list]) => {
      if (this.#again === undefined) return fail("The loop must have the 'recursive' marker");
      return this.#again(list, this.#depth0 + 1);
    };
  }

  attribute(name: string): unknown {
    const { index0 } = this;
    const { length } = this.#items;
    switch (name) {
      case "index":
        return index0 + 1;
      case "index0":
        return index0;
      case "revindex":
        return length - index0;
      case "revindex0":
        return length - index0 - 1;
      case "first":
        return index0 === 0;
      case "last":
        return index0 === length - 1;
      case "length":
        return length;
      case "depth":
        return this.#depth0 + 1;
      case "depth0":
        return this.#depth0;
      case "previtem":
        return index0 > 0 ? this.#items[index0 - 1] : undefined;
      case "nextitem":
        return this.#items[index0 + 1];
      case "cycle":
        return new Callable(name, (values) => this.#cycle(values));
      case "changed":
        return new Callable(name, (values) => this.#changed(values));
      default:
        return undefined;
    }
  }

  #cycle(values: readonly unknown[]): unknown {
    if (values.length === 0) fail("no items for cycling given");
    return values[this.index0 % values.length];
  }

  #changed(values: readonly unknown[]): boolean {
    const changed = this.#last === undefined || !equals(this.#last, values);
    if (changed) this.#last = values;
    return changed;
  }
}

/** The items that the loop goes over, of all that its list has. */
type Choose = (frame: Frame, items: readonly unknown[]) => readonly unknown[];

export function compileFor(loop: ForOf, place: TemplatePlace): Execute {
  const list = compileExpression(loop.list, place);
  const choose = compileTest(loop, place);
  const otherwise = compileScoped(loop.otherwise, place);
  if (loop.recursive) {
    const turn = compileRecursive(loop, place, choose);
    return (frame) => {
      frame.run.out += turn(frame, list(frame), 0);
      return GOES_ON;
    };
  }
  const around = compileTurns(loop, place);
  return (frame) => {
    const items = choose(frame, itemsOfLoop(list(frame)));
    return around(frame, items, 0, undefined) ? GOES_ON : otherwise(frame);
  };
}

/** True once the body came to its end in one turn: then there is no else. */
type Turns = (
  frame: Frame,
  items: readonly unknown[],
  depth0: number,
  again: Again | undefined,
) => boolean;

function compileTurns(loop: ForOf, place: TemplatePlace): Turns {
  const { scope: outer } = place;
  const scope = new Scope(outer.unit, outer).declare(...namesSet(loop.target));
  const extended = loop.recursive || reads(loop.body, "loop");
  if (extended) scope.declare("loop");
  scope.analyze(loop.body);
  const inner = { ...place, scope };
  const assign = compileTarget(loop.target, inner);
  const enter = scope.entering(place.globals);
  const execute = compileBody(loop.body, inner);
  const loop_slot = extended ? scope.slotOf("loop") : -1;
  return (frame, items, depth0, again) => {
    const context = extended ? new Loop(items, depth0, again) : undefined;
    let came_through = false;
    for (let i = 0; i < items.length; i += 1) {
      takeSteps(1);
      if (context !== undefined) {
        context.index0 = i;
        frame.slots[loop_slot] = context;
      }
      assign(frame, items[i]);
      enter?.(frame);
      const ended = execute(frame);
      if (ended === BREAKS) break;
      if (ended !== CONTINUES) came_through = true;
    }
    return came_through;
  };
}

function compileTest(loop: ForOf, place: TemplatePlace): Choose {
  if (loop.test === undefined) return (_, items) => items;
  const scope = new Scope(place.scope.unit, place.scope).declare(...namesSet(loop.target));
  const inner = { ...place, scope };
  const assign = compileTarget(loop.target, inner);
  const test = compileExpression(loop.test, inner);
  return (frame, items) =>
    items.filter((item) => {
      takeSteps(1);
      assign(frame, item);
      return isTruthy(test(frame));
    });
}

/** A loop that calls itself has a frame for each call. */
function compileRecursive(
  loop: ForOf,
  outer: TemplatePlace,
  choose: Choose,
): (frame: Frame, list: unknown, depth0: number) => string {
  const unit = { size: 0, depth: outer.scope.unit.depth + 1 };
  const place = { ...outer, scope: new Scope(unit, outer.scope) };
  const around = compileTurns(loop, place);
  const otherwise = compileScoped(loop.otherwise, place);
  const turn = (parent: Frame, list: unknown, depth0: number): string => {
    takeSteps(1);
    const items = choose(parent, itemsOfLoop(list));
    const frame = new Frame(unit.size, parent.run, parent);
    const again: Again = (inner, depth) => turn(parent, inner, depth);
    return captured(frame, () => (around(frame, items, depth0, again) ? GOES_ON : otherwise(frame)))
      .text;
  };
  return turn;
}
