/**
 * Messages between actors. A message is a plain object with a `kind`; a role's messages are
 * a discriminated union. A message that wants an answer says so in its type:
 *
 *     type GetLoad = Ask<Load> & { readonly kind: "get_load" };
 */

import type { ReplyOf } from "../../proto/ask.ts";

export type { Ask, ReplyOf } from "../../proto/ask.ts";

export type Message = { readonly kind: string };

/** The reply to the question of kind `K` in the union `M`. */
export type ReplyTo<M extends Message, K extends string> = ReplyOf<Extract<M, { kind: K }>>;

/**
 * Names one life of one actor. A restarted actor has the same node and path and another
 * incarnation (a random u64), so that no message for the dead life reaches the new one.
 */
export type Address = {
  readonly node: string;
  /** "/frontend/streams/abc" */
  readonly path: string;
  readonly incarnation: bigint;
};
