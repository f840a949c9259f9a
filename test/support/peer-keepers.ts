/** Machines whose keepers have blocks for each other, simulated: rooms and memory, no workers. */
import { hashesIn } from "../../actors/kv/keeper/packed-hashes.ts";
import { BlockRoom } from "../../actors/kv/keeper/room.ts";
import { Members } from "../../actors/kv/peer/members.ts";
import type { AdmissionPolicy } from "../../actors/kv/peer/offering.ts";
import { Peers } from "../../actors/kv/peer/peers.ts";
import { BlockPlane } from "../../actors/kv/peer/plane.ts";
import { peerTimes } from "../../actors/kv/peer/sender.ts";
import type { PeerSpace } from "../../actors/kv/peer/space.ts";
import type { KvKeeperMessage } from "../../proto/index.ts";
import { Actor } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { createSystem } from "../../runtime/kernel/system.ts";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { MemoryNetwork } from "../../runtime/transport/memory.ts";
import { blockBytes } from "./block-peers.ts";
import { exampleCapabilities } from "./example.ts";

export const IDENTITY = "00112233445566778899aabbccddeeff";
export const BLOCK_BYTES = 2_000;

/** A keeper's room as far as other machines see it. */
export class TestSpace implements PeerSpace {
  readonly identity = IDENTITY;
  readonly block_bytes = BLOCK_BYTES;
  readonly room: BlockRoom;
  readonly hand_offs = new Set<string>();
  readonly #memory: Uint8Array;
  readonly #listeners = new Set<() => void>();

  constructor(slots: number) {
    this.room = new BlockRoom(slots);
    this.#memory = new Uint8Array(slots * BLOCK_BYTES);
  }

  readonly bytes = (slot: number) =>
    this.#memory.subarray(slot * BLOCK_BYTES, (slot + 1) * BLOCK_BYTES);
  readonly expect = (id: string, news: () => void) => {
    this.#listeners.add(news);
    const end = () => void this.#listeners.delete(news);
    return { coming: () => this.hand_offs.has(id), end };
  };

  /** As a worker that computed them. */
  write(hashes: readonly bigint[]): void {
    for (const [i, hash] of hashes.entries()) {
      const offer = { hash, parent: hashes[i - 1] ?? 0n, priority: 0 };
      const [slot] = this.room.reserve("a worker", [offer]);
      if (typeof slot !== "number") continue;
      this.bytes(slot).set(blockBytes(hash, BLOCK_BYTES));
      this.room.filled("a worker", hash, 0n);
    }
    this.news();
  }

  readonly has = (hash: bigint) => this.room.has(hash);
  readonly came = () => this.news();

  news(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  count(hashes: readonly bigint[]): number {
    return hashes.filter((hash) => this.room.has(hash)).length;
  }

  /** How many of the row are here, from the first on; throws where one is not what it should be. */
  whole(hashes: readonly bigint[]): number {
    const { lease, slots } = this.room.find("a reader", hashes);
    for (const [i, slot] of slots.entries()) {
      const right = blockBytes(hashes[i]!, BLOCK_BYTES);
      if (Buffer.compare(this.bytes(slot), right) !== 0) throw new Error(`block ${i} is not right`);
    }
    this.room.release("a reader", lease);
    return slots.length;
  }
}

class TestKeeper extends Actor<KvKeeperMessage> {
  readonly #machine: TestMachine;

  constructor(machine: TestMachine) {
    super();
    this.#machine = machine;
  }

  override async init(): Promise<void> {
    await this.#machine.open(this.ctx);
  }

  override receive(message: KvKeeperMessage): void {
    if (message.kind === "peer_find_kv") this.ctx.reply(this.#machine.peers.found(message));
    else if (message.kind === "peer_offer_kv") {
      this.#machine.offers.push(...hashesIn(message.hashes));
      this.#machine.peers.offered(message);
    }
  }
}

export class TestMachine {
  readonly name: string;
  readonly space: TestSpace;
  readonly members: Members;
  /** Names that others have offered. */
  readonly offers: bigint[] = [];
  readonly net: ReturnType<MemoryNetwork["net"]>;
  ref!: Ref<KvKeeperMessage>;
  peers!: Peers;
  plane!: BlockPlane;
  readonly #policy: AdmissionPolicy;
  readonly #simulation: Simulation;

  constructor(simulation: Simulation, network: MemoryNetwork, name: string, options: Options) {
    this.name = name;
    this.space = new TestSpace(options.slots ?? 64);
    this.members = new Members(name);
    this.net = network.net();
    this.#policy = options.policy ?? "after_first_reuse";
    this.#simulation = simulation;
  }

  start(): void {
    const { scheduler } = this.#simulation;
    const capabilities = exampleCapabilities(this.#simulation);
    const system = createSystem({ node: this.name, capabilities, scheduler });
    this.ref = system.spawn(() => new TestKeeper(this), { name: "keeper" });
  }

  async open(ctx: TestKeeper["ctx"]): Promise<void> {
    const { clock, random } = ctx;
    this.plane = new BlockPlane({ net: this.net, clock, random, times: peerTimes });
    let guests = 0;
    this.peers = new Peers({
      ...{ ctx, clock, plane: this.plane, members: this.members, policy: this.#policy },
      address: await this.plane.listen(`tcp:${this.name}:0`),
      space: (identity) => (identity === IDENTITY ? this.space : undefined),
      guest: () => `peer ${++guests}`,
    });
  }
}

type Options = { readonly policy?: AdmissionPolicy; readonly slots?: number };

export async function machines(seed: number, names: readonly string[], options: Options = {}) {
  const simulation = new Simulation(seed);
  const network = new MemoryNetwork(simulation.clock, new SeededRandom(seed), {
    ...{ delay_ms_min: 0.2, delay_ms_max: 3, split_bytes_max: 1_500, window_bytes: 4_096 },
  });
  const all = names.map((name) => new TestMachine(simulation, network, name, options));
  for (const machine of all) machine.start();
  await simulation.run(10);
  const identities = new Set([IDENTITY]);
  const members = all.map(({ name, ref }) => ({ machine: name, ref, identities }));
  for (const machine of all) machine.members.are(members);
  return { simulation, all };
}
