/** What goes between the keepers of several machines, counted. */
import type { Counter, Metrics } from "../../../runtime/observe/metrics.ts";
import type { Pulled } from "../peer/pull.ts";
import type { Sent } from "../peer/sender.ts";

export class NeighbourMetrics {
  readonly #metrics: Metrics;
  readonly #read: Counter;
  readonly #sent: Counter;

  /** They live as long as the process, as the keeper does. */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    const blocks = "Blocks that this machine has read from others.";
    this.#read = metrics.counter("troupe_kv_peer_blocks_read_total", blocks);
    const sent = "Blocks that other machines have read here.";
    this.#sent = metrics.counter("troupe_kv_peer_blocks_sent_total", sent);
    this.#ended("corrupt");
  }

  readonly pulled = ({ end, blocks }: Pulled): void => {
    this.#read.add(blocks);
    this.#ended(end).add(1);
  };

  readonly sent = ({ blocks }: Sent): void => this.#sent.add(blocks);

  #ended(end: Pulled["end"]): Counter {
    const help = "Reads of rows of blocks from another machine, by how they ended.";
    return this.#metrics.counter("troupe_kv_peer_reads_total", help, { end });
  }
}
