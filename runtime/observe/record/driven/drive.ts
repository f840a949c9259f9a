/** Drives one actor through its recorded turns and compares what it does and becomes. */
import { Actor } from "../../../kernel/actor.ts";
import type { Message } from "../../../kernel/message.ts";
import type { Outside } from "../../../outside.ts";
import { stateText } from "../actor-session.ts";
import type { RecordedLife } from "../read-folder.ts";
import { type RecordActor, type RecordTurn, type Turn, turns } from "../record-format.ts";
import { hashOf, hexOf } from "../state-hash.ts";
import { DrivenWorld } from "./driven-world.ts";

/** Makes an actor whose options come from `outside`. */
export type Recipe = (outside: Outside) => Actor<never>;
export type Recipes = Readonly<Record<string, Recipe>>;

/** Told in one line. */
export class NotDriven extends Error {
  override readonly name = "NotDriven";
}

export type DrivenTurn = {
  readonly number: number;
  readonly turn: Turn;
  readonly at_ms: number;
  readonly kind: string;
  /** The message, reply or signal. */
  readonly value: unknown;
  /** What the actor did then, as it does now. */
  readonly did: readonly string[];
  /** Undefined: as in the recording. */
  readonly differs: string | undefined;
  /** The state's hash, where the recording has one. */
  readonly state: string | undefined;
};

export type Driven = {
  readonly turns: number;
  /** How many hashes of the state were compared. */
  readonly compared: number;
  /** The last turn whose state was compared and equal. */
  readonly equal_until: number | undefined;
  /** The first turn after which something differs. */
  readonly differs: DrivenTurn | undefined;
  readonly state_hash: string;
  /** The actor's own words on its state. */
  readonly state: unknown;
};

/**
 * Why an actor cannot be driven through these turns, the first that there are of it. Undefined: it
 * can, as far as they go without a hole.
 */
export function whyNot(
  { recipe }: RecordActor,
  all: readonly RecordTurn[],
  recipes: Recipes,
): string | undefined {
  if (recipe === "") return "what it is made of is no data";
  if (!Object.hasOwn(recipes, recipe)) return `this program has no recipe "${recipe}"`;
  const [first] = all;
  if (first === undefined) return "it has no turns";
  if (first.number > 0) {
    return "its beginning is not in the recording any more: a larger --record-bytes keeps more";
  }
  return all.find(({ gap }) => gap !== "")?.gap;
}

/** `until`: the last turn. Throws NotDriven with the reason of `whyNot`. */
export function drive(
  life: RecordedLife,
  recipes: Recipes,
  until = Number.POSITIVE_INFINITY,
  seen: (turn: DrivenTurn) => void = () => {},
): Driven {
  const why = whyNot(life.actor, life.turns, recipes);
  if (why !== undefined) throw new NotDriven(why);
  const world = new DrivenWorld(life);
  const make = recipes[life.actor.recipe] as Recipe;
  const run = new DrivenRun(world, make);
  let differs: DrivenTurn | undefined;
  for (const turn of life.turns) {
    if (turn.number > until) break;
    const driven = run.step(turn);
    seen(driven);
    if (driven.differs !== undefined) differs ??= driven;
  }
  return { ...run.result(), differs };
}

class DrivenRun {
  readonly #world: DrivenWorld;
  readonly #make: Recipe;
  #actor: Actor<never> | undefined;
  #turns = 0;
  #compared = 0;
  #equal_until: number | undefined;

  constructor(world: DrivenWorld, make: Recipe) {
    this.#world = world;
    this.#make = make;
  }

  step(turn: RecordTurn): DrivenTurn {
    const world = this.#world;
    const own = world.begin(turn);
    const value = world.value(turn);
    let threw = "";
    try {
      this.#run(turn, own, value);
    } catch (error) {
      threw = error instanceof Error ? error.message : String(error);
    }
    if (turn.threw && threw === "") world.differ("it threw then, and does not now");
    if (!turn.threw && threw !== "") world.differ(`it throws now: ${threw}`);
    const state = this.#compare(turn);
    world.end();
    this.#turns++;
    const { number, at_ms, kind } = turn;
    const { did, differs } = world;
    const name = turns[turn.turn] ?? "message";
    return {
      number,
      turn: name,
      at_ms,
      kind,
      value: value ?? ownMessage(own),
      did,
      differs,
      state,
    };
  }

  result() {
    const actor = this.#actor;
    return {
      turns: this.#turns,
      compared: this.#compared,
      equal_until: this.#equal_until,
      state_hash: actor === undefined ? "" : hexOf(hashOf(stateText(actor))),
      state: actor?.recordedState(),
    };
  }

  #run(turn: RecordTurn, own: ReturnType<DrivenWorld["begin"]>, value: unknown): void {
    const name = turns[turn.turn];
    if (name === "start") {
      const actor = this.#make(this.#world);
      Actor.attach(actor, this.#world.context);
      this.#actor = actor;
      void actor.init();
      return;
    }
    const actor = this.#actor;
    if (actor === undefined) throw new Error("it has no beginning");
    switch (name) {
      case "message":
        void actor.receive(value as never);
        return;
      case "own":
        if (own === undefined || !("message" in own)) {
          this.#world.differ("it did not set the timer, or send itself the message, of this turn");
        } else {
          if (own.message.kind !== turn.kind)
            this.#world.differ(`it sent ${own.message.kind} then`);
          void actor.receive(own.message as never);
        }
        return;
      case "callback":
        if (own === undefined || !("run" in own)) this.#world.differ("it waits for no such reply");
        else own.run(value, turn.failed);
        return;
      case "down":
        void actor.down(value as never);
        return;
      case "child_ended":
        void actor.childEnded(value as never);
        return;
      case "terminate":
        void actor.terminate(value as never);
        return;
      case "release":
        actor.release();
    }
  }

  #compare(turn: RecordTurn): string | undefined {
    if (turn.state.length === 0 || this.#actor === undefined) return undefined;
    this.#compared++;
    const state = hexOf(hashOf(stateText(this.#actor)));
    if (state === hexOf(turn.state)) this.#equal_until = turn.number;
    else this.#world.differ(this.#since(turn));
    return state;
  }

  /** The state is not compared after each turn. */
  #since({ number }: RecordTurn): string {
    const last = this.#equal_until;
    const known = last === undefined ? "" : `; it was equal after turn ${last}`;
    return last === number - 1 ? "its state is another one" : `its state is another one${known}`;
  }
}

function ownMessage(own: ReturnType<DrivenWorld["begin"]>): Message | undefined {
  return own !== undefined && "message" in own ? own.message : undefined;
}
