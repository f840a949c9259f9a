/**
 * Where a compiled template keeps its variables. Names become slots of a frame when the template is
 * compiled. A frame belongs to one run of the template or of one of its macros; loops have slots of
 * their own in it. In the library a macro sees the variables of whoever calls it (not of where it
 * was written), so what a macro does not declare is looked up by name through its callers.
 */

/** The compiler met something it does not know; the library renders this template. */
export const UNKNOWN = Symbol("not compiled");

const UNSET = Symbol("unset");

export type Variables = Readonly<Record<string, unknown>>;

/** An expression: gives its value. */
export type Evaluate = (frame: Frame) => unknown;

export class Frame {
  readonly slots: unknown[];
  /** What the template was called with. */
  readonly variables: Variables;
  /** The caller of a macro, and the scope of the call. */
  readonly caller: Frame | undefined;
  readonly site: Scope | undefined;

  constructor(size: number, variables: Variables, caller?: Frame, site?: Scope) {
    this.slots = new Array(size).fill(UNSET);
    this.variables = variables;
    this.caller = caller;
    this.site = site;
  }
}

/** What scopes of one template share. */
export type Unit = {
  /** Slots that its frame needs; grows while it is compiled. */
  size: number;
  readonly is_macro: boolean;
  readonly template: {
    /** A macro may read the `loop` of whoever calls it. */
    macros_read_loop: boolean;
  };
};

/** Names that mean one thing everywhere; templates that declare them are not compiled. */
export const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);

export class Scope {
  readonly unit: Unit;
  readonly parent: Scope | undefined;
  private readonly slots = new Map<string, number>();
  /** Its slots are `first` to before `end`. */
  readonly first: number;
  readonly end: number;
  /** For loops: whether anything reads `loop`, and whether `break` or `continue` leave the body. */
  reads_loop = false;
  jumps = false;
  readonly is_loop: boolean;

  constructor(unit: Unit, names: readonly string[], parent?: Scope, is_loop = false) {
    this.unit = unit;
    this.parent = parent;
    this.is_loop = is_loop;
    this.first = unit.size;
    for (const name of names) {
      if (CONSTANTS.has(name) || name === "namespace") throw UNKNOWN;
      if (!this.slots.has(name)) this.slots.set(name, unit.size++);
    }
    this.end = unit.size;
  }

  slotOf(name: string): number {
    const slot = this.slots.get(name);
    if (slot === undefined) throw UNKNOWN;
    return slot;
  }

  /** How this scope reads a variable. A declared name counts only once it was set. */
  reader(name: string): Evaluate {
    const constant = CONSTANTS.get(name);
    if (constant !== undefined) return () => constant;
    if (name === "namespace" || name in Object.prototype) throw UNKNOWN;
    // A macro that reads these takes further arguments.
    if (this.unit.is_macro && (name === "kwargs" || name === "varargs")) throw UNKNOWN;
    const slots = this.visibleSlots(name);
    const [first, ...further] = slots;
    const outside = this.unit.is_macro ? fromCallers : fromVariables;
    if (first === undefined) return (frame) => outside(frame, name);
    if (further.length === 0) {
      return (frame) => {
        const value = frame.slots[first];
        return value === UNSET ? outside(frame, name) : value;
      };
    }
    return (frame) => {
      for (const slot of slots) if (frame.slots[slot] !== UNSET) return frame.slots[slot];
      return outside(frame, name);
    };
  }

  /** Slots of that name, innermost first. */
  private visibleSlots(name: string): readonly number[] {
    const slots: number[] = [];
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      const slot = scope.slots.get(name);
      if (slot !== undefined) slots.push(slot);
      if (name === "loop" && scope.is_loop) scope.reads_loop = true;
    }
    if (name === "loop" && this.unit.is_macro) this.unit.template.macros_read_loop = true;
    return slots;
  }

  /** The value in the innermost scope that has the name set; `UNSET` where none has. */
  find(frame: Frame, name: string): unknown {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      const slot = scope.slots.get(name);
      if (slot !== undefined && frame.slots[slot] !== UNSET) return frame.slots[slot];
    }
    return UNSET;
  }

  /** A loop begins: nothing is set in its scope. */
  clear(frame: Frame): void {
    for (let slot = this.first; slot < this.end; slot++) frame.slots[slot] = UNSET;
  }
}

function fromVariables(frame: Frame, name: string): unknown {
  return frame.variables[name];
}

function fromCallers(frame: Frame, name: string): unknown {
  let called: Frame = frame;
  while (called.caller !== undefined && called.site !== undefined) {
    const value = called.site.find(called.caller, name);
    if (value !== UNSET) return value;
    called = called.caller;
  }
  return fromVariables(frame, name);
}
