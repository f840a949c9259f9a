/**
 * Where variables live. Names become places in frames when a template is compiled, by Jinja2's
 * rules: a scope (loop, macro, block, with) has its own variables; one that is set in it begins as
 * the outer one of that name; what is set nowhere comes from what the template was called with.
 */
import {
  type Body,
  childrenOf,
  type Expression,
  type Statement,
  type Target,
} from "../syntax/ast.ts";

/** State that all frames of one rendering share. */
export type Run = {
  out: string;
  /** Without a prototype: names are looked up as they are. */
  readonly variables: Readonly<Record<string, unknown>>;
};

export class Frame {
  readonly slots: unknown[];
  readonly parent: Frame | undefined;
  readonly run: Run;
  constructor(size: number, run: Run, parent?: Frame) {
    this.slots = new Array(size).fill(undefined);
    this.run = run;
    this.parent = parent;
  }
}

/** A unit with a frame of its own: the template, a macro, a block, a recursive loop. */
export type Unit = { size: number; readonly depth: number };

export type Evaluate = (frame: Frame) => unknown;

type Variable = {
  readonly unit: Unit;
  readonly slot: number;
  /** How it begins when its scope is entered. */
  readonly begins: "parameter" | "outer" | "given" | "undefined";
};

export class Scope {
  readonly unit: Unit;
  readonly parent: Scope | undefined;
  readonly #variables = new Map<string, Variable>();

  constructor(unit: Unit, parent?: Scope) {
    this.unit = unit;
    this.parent = parent;
  }

  /** Names that are set by whoever enters the scope. */
  declare(...names: readonly string[]): this {
    for (const name of names) this.#define(name, "parameter");
    return this;
  }

  /** Finds what the statements set; to be called once, after the parameters were declared. */
  analyze(body: Body): this {
    const seen = new Set<string>();
    for (const statement of body) this.#look(statement, seen, false);
    return this;
  }

  #define(name: string, begins: Variable["begins"]): void {
    if (this.#variables.has(name)) return;
    this.#variables.set(name, { unit: this.unit, slot: this.unit.size++, begins });
  }

  /** `seen`: names that were read; `conditional`: in a branch that may not be taken. */
  #look(statement: Statement, seen: Set<string>, conditional: boolean): void {
    const read = (...expressions: readonly (Expression | undefined)[]) => {
      for (const expression of expressions) if (expression) namesRead(expression, seen);
    };
    const store = (target: Target) => {
      for (const name of namesSet(target)) {
        const later = conditional || seen.has(name);
        const outer = this.parent?.find(name) !== undefined;
        this.#define(name, outer ? "outer" : later ? "given" : "undefined");
      }
    };
    switch (statement.type) {
      case "output":
        read(statement.value);
        return;
      case "if":
        read(statement.test);
        for (const inner of [...statement.yes, ...statement.no]) this.#look(inner, seen, true);
        return;
      case "for":
        read(statement.list);
        return;
      case "set":
        read(statement.value);
        store(statement.target);
        return;
      case "set_block":
        store(statement.target);
        return;
      case "macro":
        store({ type: "name", name: statement.name });
        return;
      case "call_block":
        read(statement.call);
        return;
      case "filter_block":
        read(statement.filter);
        return;
      case "with":
        for (const { value } of statement.pairs) read(value);
        return;
    }
  }

  find(name: string): Variable | undefined {
    return this.#variables.get(name) ?? this.parent?.find(name);
  }

  slotOf(name: string): number {
    const variable = this.#variables.get(name);
    if (variable === undefined) throw new Error(`${name} was not found when it was looked for`);
    return variable.slot;
  }

  /** How this scope reads a name; `global` where nothing of that name was given. */
  reader(name: string, global: unknown): Evaluate {
    const variable = this.find(name);
    return variable === undefined ? givenReader(name, global) : this.#slotReader(variable);
  }

  #slotReader({ unit, slot }: Variable): Evaluate {
    const hops = this.unit.depth - unit.depth;
    if (hops === 0) return (frame) => frame.slots[slot];
    if (hops === 1) return (frame) => frame.parent?.slots[slot];
    return (frame) => {
      let owner: Frame | undefined = frame;
      for (let i = 0; i < hops; i += 1) owner = owner?.parent;
      return owner?.slots[slot];
    };
  }

  /** Sets the variables of the scope to what they begin as. Undefined: there are none. */
  entering(globals: ReadonlyMap<string, unknown>): ((frame: Frame) => void) | undefined {
    const steps: { slot: number; read: Evaluate }[] = [];
    for (const [name, { slot, begins }] of this.#variables) {
      if (begins === "parameter") continue;
      const outer = this.parent?.find(name);
      const read =
        begins === "undefined"
          ? () => undefined
          : begins === "outer" && outer !== undefined
            ? this.#slotReader(outer)
            : givenReader(name, globals.get(name));
      steps.push({ slot, read });
    }
    if (steps.length === 0) return undefined;
    return (frame) => {
      for (const { slot, read } of steps) frame.slots[slot] = read(frame);
    };
  }
}

function givenReader(name: string, global: unknown): Evaluate {
  return (frame) => {
    const value = frame.run.variables[name];
    return value === undefined ? global : value;
  };
}

export function namesSet(target: Target): readonly string[] {
  if (target.type === "name") return [target.name];
  return target.type === "tuple" ? target.items.flatMap(namesSet) : [];
}

function namesRead(expression: Expression, into: Set<string>): void {
  if (expression.type === "name") into.add(expression.name);
  for (const child of childrenOf(expression)) namesRead(child, into);
}

/** Whether the statements, or what is in them, read a name. */
export function reads(body: Body, name: string): boolean {
  const names = new Set<string>();
  const read = (...expressions: readonly (Expression | undefined)[]) => {
    for (const expression of expressions) if (expression) namesRead(expression, names);
  };
  const walk = (statements: Body): void => {
    for (const statement of statements) {
      switch (statement.type) {
        case "output":
        case "set":
          read(statement.value);
          break;
        case "if":
          read(statement.test);
          walk([...statement.yes, ...statement.no]);
          break;
        case "for":
          read(statement.list, statement.test);
          walk([...statement.body, ...statement.otherwise]);
          break;
        case "set_block":
        case "filter_block":
          read(statement.filter);
          walk(statement.body);
          break;
        case "macro":
        case "call_block":
          read(...statement.parameters.map(({ otherwise }) => otherwise));
          if (statement.type === "call_block") read(statement.call);
          walk(statement.body);
          break;
        case "with":
          read(...statement.pairs.map(({ value }) => value));
          walk(statement.body);
          break;
        case "scope":
        case "block":
          walk(statement.body);
      }
    }
  };
  walk(body);
  return names.has(name);
}
