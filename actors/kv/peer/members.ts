/** The keepers of blocks of a cluster, and which of them keeps a block for all. */
import type { KvKeeperMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { type OwnerKey, ownerKey, ownerOf } from "./owners.ts";

/** A keeper of blocks, ours or another machine's. */
export type PeerMember = {
  readonly machine: string;
  readonly ref: Ref<KvKeeperMessage>;
  /** What its workers' blocks are told apart by. */
  readonly identities: ReadonlySet<string>;
};

export class Members {
  /** The name of this machine among them. */
  readonly machine: string;
  #all: readonly PeerMember[] = [];
  /** By identity: who may own its blocks. */
  readonly #owners = new Map<string, readonly OwnerKey[]>();

  constructor(machine: string) {
    this.machine = machine;
  }

  are(members: readonly PeerMember[]): void {
    this.#all = members;
    this.#owners.clear();
  }

  get count(): number {
    return this.#all.length;
  }

  /** Another machine's keeper, whose block it is; undefined: it is ours, or nobody's. */
  ownerOf(identity: string, hash: bigint): PeerMember | undefined {
    const owner = ownerOf(hash, this.#ownersOf(identity))?.name;
    if (owner === undefined || owner === this.machine) return undefined;
    return this.#all.find(({ machine }) => machine === owner);
  }

  #ownersOf(identity: string): readonly OwnerKey[] {
    const known = this.#owners.get(identity);
    if (known !== undefined) return known;
    const members = this.#all.filter(({ identities }) => identities.has(identity));
    const owners = members.map(({ machine }) => ownerKey(machine));
    this.#owners.set(identity, owners);
    return owners;
  }
}
