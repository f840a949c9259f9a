/** Tokens a block in all parts of `bun run bench kv`: `--block-size N`. */
const at = Bun.argv.indexOf("--block-size");
export const block_size = at < 0 ? 64 : Number(Bun.argv[at + 1]);

/** For clusters. */
export const blockFlags = ["--block-size", String(block_size)] as const;
