/**
 * Interface of Redis for the registry's table and the store. The real client is in
 * runtime/real/redis.ts; it answers within a few seconds or rejects with RedisAway.
 */
export type RedisArgument = string | number | Uint8Array;
export type RedisValue = Uint8Array | number | null | readonly RedisValue[];

export interface RedisCalls {
  /** Where it is, for people: no passwords in it. */
  readonly name: string;
  readonly up: boolean;
  call(command: string, args: readonly RedisArgument[]): Promise<RedisValue>;
  /** The subscription survives reconnects. Returns a function that ends it. */
  subscribe(channel: string, take: () => void): () => void;
  /** Calls `listener` at each change of `up`. Returns a function that ends it. */
  onState(listener: (up: boolean) => void): () => void;
  close(): Promise<void>;
}

export class RedisAway extends Error {
  override readonly name = "RedisAway";
  readonly code = "redis_away";
}

export const listOf = (value: RedisValue | undefined): readonly RedisValue[] =>
  Array.isArray(value) ? value : [];

/** Plain bytes: the client hands out Node's Buffers, whose `slice` is no copy. */
export const bytesOf = (value: RedisValue | undefined): Uint8Array =>
  value instanceof Uint8Array
    ? new Uint8Array(value.buffer, value.byteOffset, value.length)
    : new Uint8Array(0);

export const textOf = (value: RedisValue | undefined): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString() : `${value ?? ""}`;
