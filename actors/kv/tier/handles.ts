/** Handles of blocks: each state is a class with the steps it allows, and is good for one step. */

/** A handle was used twice, or after its tier had closed: a fault of the caller's. */
export class BlockMisuseError extends Error {
  override readonly name = "BlockMisuseError";
}

export type BlockFacts = {
  readonly hash: bigint;
  readonly parent: bigint;
  readonly slot: number;
  readonly priority: number;
};

type HeldFacts = Omit<BlockFacts, "priority"> & { readonly sum: bigint };

export type Staged = BlockFacts & {
  drop(): void;
  register(sum: bigint): HeldBlock;
};

/** A handle is good for one step. */
class Once {
  #used = false;

  use(): void {
    if (this.#used) throw new BlockMisuseError("this handle of a block was used already");
    this.#used = true;
  }
}

/** A slot with nothing of the block in it. */
export class ResetBlock {
  readonly #staged: Staged;
  readonly #once = new Once();

  constructor(staged: Staged) {
    this.#staged = staged;
  }

  get slot(): number {
    return this.#staged.slot;
  }

  /** Bytes are about to come. */
  fill(): PartialBlock {
    this.#once.use();
    return new PartialBlock(this.#staged);
  }

  /** The slot goes back: the block is not made. */
  drop(): void {
    this.#once.use();
    this.#staged.drop();
  }
}

/** Bytes are coming; until they are all there, nobody may read them. */
export class PartialBlock {
  readonly #staged: Staged;
  readonly #once = new Once();

  constructor(staged: Staged) {
    this.#staged = staged;
  }

  get slot(): number {
    return this.#staged.slot;
  }

  /** @param sum checksum of all its bytes */
  complete(sum: bigint): CompleteBlock {
    this.#once.use();
    return new CompleteBlock(this.#staged, sum);
  }

  drop(): void {
    this.#once.use();
    this.#staged.drop();
  }
}

/** All bytes are there; nobody finds them yet. */
export class CompleteBlock {
  readonly #staged: Staged;
  readonly #sum: bigint;
  readonly #once = new Once();

  constructor(staged: Staged, sum: bigint) {
    this.#staged = staged;
    this.#sum = sum;
  }

  /** From now on it is found. The caller holds it. */
  register(): HeldBlock {
    this.#once.use();
    return this.#staged.register(this.#sum);
  }

  drop(): void {
    this.#once.use();
    this.#staged.drop();
  }
}

/** A registered block that stays where it is until it is released. */
export class HeldBlock {
  readonly #entry: HeldFacts;
  readonly #release: () => void;
  readonly #once = new Once();

  constructor(entry: HeldFacts, release: () => void) {
    this.#entry = entry;
    this.#release = release;
  }

  get hash(): bigint {
    return this.#entry.hash;
  }

  get parent(): bigint {
    return this.#entry.parent;
  }

  get slot(): number {
    return this.#entry.slot;
  }

  get sum(): bigint {
    return this.#entry.sum;
  }

  release(): void {
    this.#once.use();
    this.#release();
  }
}
