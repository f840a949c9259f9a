/**
 * The mailbox of a machine's workforce. It holds nothing itself: what was begun goes on when it is
 * restarted, and whoever asks again under the same name of the change gets the answer.
 */
import type {
  AddWorkers,
  GetPool,
  Pool,
  PoolMessage,
  RetireWorkers,
  WorkersAdded,
  WorkersRetired,
} from "../../proto/index.ts";
import { Actor, type Snapshot } from "../../runtime/kernel/actor.ts";

/** What starts and ends the workers; it lives as long as its process. */
export interface Workforce {
  /** Resolves when each of them serves or was given up. */
  add(change: AddWorkers): Promise<WorkersAdded>;
  /** Resolves when all of them are gone. */
  retire(change: RetireWorkers): Promise<WorkersRetired>;
  pool(look?: Partial<GetPool>): Pool;
}

export class WorkerPool extends Actor<PoolMessage> {
  readonly #workforce: Workforce;

  constructor(workforce: Workforce) {
    super();
    this.#workforce = workforce;
  }

  override receive(message: PoolMessage): void {
    if (message.kind === "get_pool") {
      this.ctx.reply(this.#workforce.pool(message));
      return;
    }
    const port = this.ctx.replyLater();
    const work =
      message.kind === "add_workers"
        ? this.#workforce.add(message)
        : this.#workforce.retire(message);
    work.then(
      (answer) => void port.reply(answer),
      (error: unknown) => void port.fail("refused", String(error)),
    );
  }

  override inspect(): Snapshot {
    const { machine, epoch, workers, models } = this.#workforce.pool();
    return { machine, epoch, models, workers: workers.map((each) => ({ ...each })) };
  }
}
