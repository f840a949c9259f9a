/** What people did over the inspector: the last of it, in the order in which it was begun. */
import type { Asked, Command } from "./command.ts";
import { askedFor, namedAct } from "./command.ts";

export type Act = {
  readonly id: string;
  readonly at_ms: number;
  /** Address that it was asked from, or a part of the cluster that acts by itself. */
  readonly who: string;
  readonly what: string;
  readonly target: string;
  /** False, without an error: it is under way. */
  readonly done: boolean;
  readonly error?: string;
  /** What takes it back; null: nothing does, or not yet. */
  readonly undo: Asked | null;
  /** Id of the act that took it back. */
  readonly undone_by?: string;
};

type Entry = { act: Act; undo: Command | undefined };

const LAST = 200;

export class ActLog {
  readonly #entries: Entry[] = [];
  readonly #wall_ms: () => number;
  #count = 0;
  /** Rises with each change, so that a page knows whether it has the last. */
  version = 0;

  constructor(wall_ms: () => number) {
    this.#wall_ms = wall_ms;
  }

  /** Newest first. */
  all(): readonly Act[] {
    return this.#entries.map(({ act }) => act).reverse();
  }

  begin(command: Command, who: string): Act {
    const id = String(++this.#count);
    const named = namedAct(command);
    const act: Act = { id, at_ms: this.#wall_ms(), who, ...named, done: false, undo: null };
    this.#entries.push({ act, undo: undefined });
    if (this.#entries.length > LAST) this.#entries.shift();
    this.version++;
    return act;
  }

  /** `undo`: what takes it back. */
  end(id: string, { error, undo }: { readonly error?: string; readonly undo?: Command }): void {
    const entry = this.#find(id);
    if (entry === undefined) return;
    const done = error === undefined;
    entry.undo = undo;
    entry.act = {
      ...entry.act,
      ...{ done, undo: undo === undefined ? null : askedFor(undo) },
      ...(done ? {} : { error }),
    };
    this.version++;
  }

  /** What takes an act back, or why nothing does. */
  undoing(id: string): { readonly command: Command } | { readonly refused: string } {
    const entry = this.#find(id);
    if (entry === undefined) return { refused: `there is no act ${id} among the last ${LAST}` };
    const { act, undo } = entry;
    if (act.undone_by !== undefined) {
      return { refused: `act ${id} was taken back by act ${act.undone_by}` };
    }
    if (undo !== undefined) return { command: undo };
    const why = act.done || act.error !== undefined ? "cannot be taken back" : "is under way";
    return { refused: `act ${id} (${act.what} ${act.target}) ${why}` };
  }

  /** Undefined as `by`: that act failed, so this one may be taken back again. */
  undone(id: string, by: string | undefined): void {
    const entry = this.#find(id);
    if (entry === undefined) return;
    const { undone_by: _before, ...act } = entry.act;
    entry.act = by === undefined ? act : { ...act, undone_by: by };
    this.version++;
  }

  /** These are away for good: an act that added them need not be taken back for them. */
  retired(workers: readonly string[]): void {
    for (const entry of this.#entries) {
      const { undo, act } = entry;
      if (undo?.kind !== "retire") continue;
      const left = undo.workers.filter((worker) => !workers.includes(worker));
      if (left.length === undo.workers.length) continue;
      // What is being taken back just now stands in the log as such.
      if (left.length === 0 && act.undone_by !== undefined) continue;
      const rest: Command | undefined = left.length === 0 ? undefined : { ...undo, workers: left };
      entry.undo = rest;
      entry.act = { ...act, undo: rest === undefined ? null : askedFor(rest) };
      this.version++;
    }
  }

  #find(id: string): Entry | undefined {
    return this.#entries.find(({ act }) => act.id === id);
  }
}
