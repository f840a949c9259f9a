/** What tells blocks apart, as one short text: the name of a folder, and what workers announce. */
import type { KvIdentity } from "../../../proto/index.ts";

/** 128 bits of a sha256, in hex. How large a block is follows from the rest. */
export function identityText(identity: Omit<KvIdentity, "block_bytes">): string {
  const { model, engine, library, cache_type, block_size } = identity;
  const text = JSON.stringify([model, engine, library, cache_type, block_size]);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 32);
}
