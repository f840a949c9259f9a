/**
 * Where a planner and the launcher that obeys it meet: NVIDIA Dynamo's keys of its virtual
 * connector, plain texts under `/NAMESPACE/planner/`, and Troupe's own beside them. In Redis they
 * are plain keys, so that a launcher in any language reads them with GET; a store keeps them as its
 * records.
 */
import type { Store } from "../../../runtime/capabilities.ts";
import { bytesOf, listOf, type RedisCalls, textOf } from "../../../runtime/store/redis-calls.ts";

/** Dynamo's four: whole numbers as decimal text. */
export const dynamoKeys = {
  prefill: "num_prefill_workers",
  decode: "num_decode_workers",
  decision: "decision_id",
  scaled: "scaled_decision_id",
} as const;

/** Ours. `record` is the whole decision as one JSON text, which nobody can read torn. */
export const ownKeys = {
  record: "decision",
  /** Unix time in ms until which the planner has promised to be there. */
  lease: "planner_until_ms",
  failed: "failed_decision_id",
  failure: "failure",
  /** How many workers the launcher has, where it says so: whole numbers. */
  have_prefill: "have_prefill_workers",
  have_decode: "have_decode_workers",
} as const;

export type KeyValue = readonly [name: string, value: string];

export interface PlanKeys {
  /** As people find it in Redis or in the store. */
  nameOf(key: string): string;
  /** In Redis all at one moment; in a store one after another, in this order. */
  read(names: readonly string[]): Promise<readonly (string | undefined)[]>;
  /**
   * Puts `value` in the place of `was` (undefined: where nothing is), and then `mirror`: in Redis in
   * the same transaction, in a store one after another, in this order. False: something else is
   * there, and nothing was written.
   */
  replace(
    name: string,
    was: string | undefined,
    value: string,
    mirror: readonly KeyValue[],
  ): Promise<boolean>;
  /** In Redis all at once; in a store in this order. */
  put(values: readonly KeyValue[]): Promise<void>;
  /** Calls `take` when something was written, where the place tells. Ends by the function. */
  watch(take: () => void): () => void;
}

const prefixOf = (namespace: string): string => `/${namespace}/planner/`;

/** Stands for bytes that are no UTF-8: two broken values may be read as the same text. */
const NO_TEXT = "\uFFFD";

/** The bytes that were read as `was`. */
async function exactly(
  was: string,
  get: () => Promise<Uint8Array | undefined>,
): Promise<Uint8Array> {
  const bytes = Buffer.from(was);
  if (!was.includes(NO_TEXT)) return bytes;
  const held = await get();
  return held !== undefined && Buffer.from(held).toString() === was ? held : bytes;
}

/** Those who watch look from time to time, as a store tells nobody of changes. */
export function storeKeys(store: Store, namespace: string): PlanKeys {
  const keyOf = (name: string): string => prefixOf(namespace) + name;
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  const put = async (values: readonly KeyValue[]): Promise<void> => {
    for (const [name, value] of values) await store.put(keyOf(name), bytes(value));
  };
  return {
    put,
    nameOf: keyOf,
    async read(names) {
      const values: (string | undefined)[] = [];
      for (const name of names) {
        const value = await store.get(keyOf(name));
        values.push(value && Buffer.from(value).toString());
      }
      return values;
    },
    async replace(name, was, value, mirror) {
      const held = was === undefined ? undefined : await exactly(was, () => store.get(keyOf(name)));
      const done =
        held === undefined
          ? await store.create(keyOf(name), bytes(value))
          : await store.replace(keyOf(name), held, bytes(value));
      if (done) await put(mirror);
      return done;
    },
    watch: () => () => {},
  };
}

/**
 * KEYS[1] is replaced, the others go with it. ARGV: is something there?, what, channel, values.
 * What is no text, as a list, counts as nothing, as MGET has it.
 */
const REPLACE_SCRIPT = `
local is_text = redis.call('TYPE', KEYS[1]).ok == 'string'
local held = is_text and redis.call('GET', KEYS[1])
if ARGV[1] == '1' then
  if held ~= ARGV[2] then return 0 end
elseif held then
  return 0
end
for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[i + 3]) end
redis.call('PUBLISH', ARGV[3], '')
return 1
`;
const PUT_SCRIPT = `
for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[i + 1]) end
redis.call('PUBLISH', ARGV[1], '')
return 1
`;

/** One Redis, no Redis Cluster: Dynamo's names of keys do not share a slot there. */
export function redisKeys(redis: RedisCalls, namespace: string): PlanKeys {
  const keyOf = (name: string): string => prefixOf(namespace) + name;
  const channel = `${prefixOf(namespace)}changed`;
  return {
    nameOf: keyOf,
    async read(names) {
      const values = listOf(await redis.call("MGET", names.map(keyOf)));
      return values.map((value) => (value === null ? undefined : textOf(value)));
    },
    async replace(name, was, value, mirror) {
      const keys = [name, ...mirror.map(([each]) => each)].map(keyOf);
      const values = [value, ...mirror.map(([, each]) => each)];
      const get = async () => await redis.call("GET", [keyOf(name)]);
      const bytes =
        was === undefined ? undefined : await exactly(was, async () => bytesOf(await get()));
      const held = bytes === undefined ? ["0", ""] : ["1", bytes];
      const args = [REPLACE_SCRIPT, keys.length, ...keys, ...held, channel, ...values];
      return (await redis.call("EVAL", args)) === 1;
    },
    async put(values) {
      const keys = values.map(([name]) => keyOf(name));
      const texts = values.map(([, value]) => value);
      await redis.call("EVAL", [PUT_SCRIPT, keys.length, ...keys, channel, ...texts]);
    },
    watch: (take) => redis.subscribe(channel, take),
  };
}
