/** What `/api/kv`, its map and its prefixes say, as JSON. */

export type KvTier = {
  readonly tier: string;
  /** 0: not known. */
  readonly blocks: number;
  readonly used: number;
  readonly hits: number;
  readonly misses: number;
  readonly evicted: number;
  readonly bytes: number;
  /** In the live feed. */
  readonly hits_per_s?: number;
  readonly evicted_per_s?: number;
  readonly hit_share?: number | null;
};

export type KvWorker = {
  readonly worker: string;
  readonly role: string;
  readonly tiers: readonly KvTier[];
};

export type KvPage = { readonly workers: readonly KvWorker[] };

export type KvMap = {
  readonly worker: string;
  readonly tiers: readonly {
    readonly tier: string;
    readonly slots: number;
    readonly used: number;
    /** Base64; one byte a slot, or a sample of the slots. */
    readonly cells: string;
  }[];
};

export type PrefixPage = {
  readonly nodes: readonly PrefixNode[];
  readonly models?: readonly {
    readonly model: string;
    /** Prompts that were looked at. */
    readonly prompts: number;
  }[];
};

export type PrefixNode = {
  readonly model?: string;
  readonly hash: string;
  readonly parent: string | null;
  readonly blocks: number;
  readonly workers: readonly string[];
  readonly hits: number;
};
