/** What actors send each other: plain objects told apart by `kind`. */
export type { Ask, ReplyOf } from "../proto/ask.ts";

export type Message = { readonly kind: string };

/** Where an actor is. Its successor after a restart has the same path and another incarnation. */
export type Address = {
  readonly node: string;
  readonly path: string;
  readonly incarnation: bigint;
};
