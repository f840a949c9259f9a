/** The role of a worker, and how it gets another one: it drains, and then takes work again. */
import type { ChangeRole, RoleChanged, WorkerRole } from "../../proto/index.ts";
import type { Log } from "../../runtime/capabilities.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import type { Draining } from "./draining.ts";

export type RoleHost = {
  readonly ctx: () => { readonly log: Log; replyLater(): ReplyPort };
  readonly drain: () => Draining;
  /** It is another one from now on. */
  readonly changed: (role: WorkerRole) => void;
  /** Tells everybody what this worker is now. */
  readonly register: () => Promise<void>;
};

export class ChangingRole {
  readonly #host: RoleHost;
  #now: WorkerRole;

  constructor(role: WorkerRole, host: RoleHost) {
    this.#now = role;
    this.#host = host;
  }

  get now(): WorkerRole {
    return this.#now;
  }

  /**
   * Answers that are not done when the drain's budget is over are finished in the new role. Asked
   * while the role changes already, it replies when that is over, and the last wish holds.
   */
  change({ role, budget_ms }: ChangeRole): void {
    const port = this.#host.ctx().replyLater();
    const reply = (why: string) =>
      port.reply({ kind: "role_changed", role: this.#now, why } satisfies RoleChanged);
    const drain = this.#host.drain();
    if (role === this.#now && !drain.active) {
      reply("");
      return;
    }
    drain.pause(budget_ms, (drained) => {
      if (drained === undefined) {
        reply("it is being drained for its end");
        return;
      }
      const from = this.#now;
      this.#now = role;
      if (role !== from) {
        const { finished, unfinished } = drained;
        const fields = { from, role, finished, unfinished };
        this.#host.ctx().log.log("info", "this worker has another role", fields);
        this.#host.changed(role);
      }
      const done = () => reply(role === this.#now ? "" : "it was asked for another one since");
      void this.#host.register().then(done, done);
    });
  }
}
