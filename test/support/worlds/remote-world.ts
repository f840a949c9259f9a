/** Several nodes in one process, over the memory network, in virtual time. */

import { type ActorSystem, createSystem } from "../../../runtime/kernel/system.ts";
import { joinNode, type RemoteNode, type RemoteOptions } from "../../../runtime/remote/node.ts";
import { forkRandom, SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import {
  type MemoryNet,
  MemoryNetwork,
  type MemoryNetworkOptions,
  memoryTransport,
} from "../../../runtime/transport/memory.ts";
import { testCodecs } from "./remote-child.ts";
import { absent, MemoryLog } from "./test-system.ts";

export type WorldNode = {
  readonly system: ActorSystem;
  readonly remote: RemoteNode;
  readonly net: MemoryNet;
  readonly log: MemoryLog;
};

export class RemoteWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;

  constructor(seed = 1, options: Partial<MemoryNetworkOptions> = {}) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, forkRandom(this.random), options);
  }

  async node(
    name: string,
    options: Partial<RemoteOptions> & { link_queue_bytes?: number } = {},
  ): Promise<WorldNode> {
    const net = this.network.net();
    const log = new MemoryLog();
    const system = createSystem({
      node: name,
      capabilities: {
        clock: this.clock,
        random: forkRandom(this.random),
        log,
        net,
        ids: absent("ids"),
        spawn: absent("spawn"),
        files: absent("files"),
        store: absent("store"),
      },
    });
    const limits = {
      frame_limit_bytes: 32 << 20,
      queue_limit_bytes: options.link_queue_bytes ?? 64 << 20,
    };
    const remote = await joinNode(system, {
      transports: [memoryTransport(net, limits)],
      codecs: testCodecs,
      listen: `memory:${name}`,
      ...options,
    });
    return { system, remote, net, log };
  }

  /** Settles what is under way within `ms`. */
  pass(ms = 1): Promise<void> {
    return this.clock.advance(ms);
  }

  /** The promise's outcome, while virtual time goes on. */
  async outcome<T>(promise: Promise<T>, within_ms = 20_000): Promise<T | Error> {
    let result: { value: T | Error } | undefined;
    promise.then(
      (value) => {
        result = { value };
      },
      (error) => {
        result = { value: error };
      },
    );
    for (let passed = 0; passed <= within_ms && result === undefined; passed++) await this.pass(1);
    if (result === undefined) throw new Error(`nothing came within ${within_ms} virtual ms`);
    return result.value;
  }
}
