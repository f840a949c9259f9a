/** Asks a connector for the changes that were decided, each once in a life of the planner. */
import { errorText } from "../../runtime/error-text.ts";
import type { Change, Connector } from "./connect/connector.ts";
import type { ChangeOutcome, PendingChange } from "./pipeline/planner-state.ts";

export type EndedChange = {
  readonly change: string;
  readonly outcome: ChangeOutcome;
  readonly workers: readonly string[];
};

export class Changes {
  readonly #connector: Connector;
  readonly #ended: (ended: EndedChange) => void;
  readonly #asked = new Set<string>();

  constructor(connector: Connector, ended: (ended: EndedChange) => void) {
    this.#connector = connector;
    this.#ended = ended;
  }

  /** Asked for, and not ended. */
  get open(): number {
    return this.#asked.size;
  }

  /** @param again a life before may have asked for it */
  ask(pending: PendingChange, model: string, epoch: number, again: boolean): void {
    const { change, asked_ms } = pending;
    if (this.#asked.has(change)) return;
    this.#asked.add(change);
    const named = { change, epoch, model, ...(again ? { asked_ms } : {}) };
    this.#carriedOut(named, pending.action).then(
      (outcome) => this.#end(change, outcome, outcome.workers),
      (error: unknown) => this.#end(change, { kind: "failed", why: errorText(error) }, []),
    );
  }

  #end(change: string, outcome: ChangeOutcome, workers: readonly string[]): void {
    this.#asked.delete(change);
    this.#ended({ change, outcome, workers });
  }

  #carriedOut(change: Change, action: PendingChange["action"]) {
    switch (action.kind) {
      case "add":
        return this.#connector.add(change, action.role, action.count);
      case "change_role":
        return this.#connector.changeRole(change, action.workers, action.to);
      default:
        return this.#connector.retire(change, action.workers);
    }
  }
}
