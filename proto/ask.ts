/**
 * Marks a message that wants an answer: `type GetLoad = Ask<Load> & { kind: "get_load" }`.
 * It exists in types alone, and stands here because the wire messages are the lowest room.
 */
declare const replyType: unique symbol;

export type Ask<R> = { readonly [replyType]?: R };

export type ReplyOf<M> = M extends { readonly [replyType]?: infer R } ? NonNullable<R> : never;
