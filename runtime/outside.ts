/**
 * What an actor is made of beside its context, as a recorder sees it. An actor that is to be driven
 * again from a recording takes its options through `given`: they are written down, and so is each
 * result of a function in them, as these are inputs of the actor too. Without a recorder `given`
 * returns what it got.
 */

export interface Outside {
  /** `recipe` names who can make such an actor again. Called once, before the constructor. */
  given<T>(recipe: string, options: T): T;
}

/** Nobody records. */
export const unseen: Outside = Object.freeze({
  given: <T>(_recipe: string, options: T) => options,
});
