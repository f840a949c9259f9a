/**
 * Where a planner's state is while the planner is not: one record a model in the cluster's store.
 * A planner that was replaced cannot write over the record of the one that replaced it.
 */
import type { Log, Store } from "../../../runtime/capabilities.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Decision } from "../pipeline/decision.ts";
import { type PlannerState, withEpoch } from "../pipeline/planner-state.ts";
import { initialState } from "../pipeline/tick.ts";
import { decodeRecord, encodeRecord, type JournalRecord, type ReadRecord } from "./record.ts";

/** Another planner of a later epoch writes this journal now. */
export class JournalTakenError extends Error {
  readonly code = "planner_journal_taken";
}

const keyOf = (model: string) => `planner/${encodeURIComponent(model)}`;
/** Writers of one journal at once are two at most: who decides, and who did until just now. */
const TRIES = 8;
/** Names of broken parts in one log line. */
const TOLD = 8;

export class PlannerJournal {
  readonly #store: Store;
  readonly #log: Log;
  readonly #model: string;
  #written: Uint8Array | undefined;

  constructor(store: Store, log: Log, model: string) {
    this.#store = store;
    this.#log = log;
    this.#model = model;
  }

  /**
   * Rejects when the store cannot be used. A record, or a part of one, that cannot be read is as
   * none, and logged.
   */
  async read(config: PlannerConfig, epoch: number): Promise<JournalRecord> {
    this.#written = await this.#store.get(keyOf(this.#model));
    const { record, why, lost } = recordFromJournal(this.#written, this.#model, config, epoch);
    if (why !== undefined) {
      this.#log.log("warn", `planner: the journal of ${this.#model} is not used: ${why}`);
    }
    if (lost.length > 0) {
      const parts = [...lost.slice(0, TOLD), ...(lost.length > TOLD ? ["…"] : [])].join(", ");
      const what = `not of the form that this program writes, and begin anew: ${parts}`;
      this.#log.log("warn", `planner: parts of the journal of ${this.#model} are ${what}`);
    }
    const { stages, memories } = record.state;
    const wanted = initialState(this.#model, config).stages;
    if (stages !== wanted && Object.keys(memories).length > 0) {
      const what = `what was learned under "${stages}" is not used under "${wanted}"`;
      this.#log.log("info", `planner: ${what}, and begins anew`, { model: this.#model });
    }
    return record;
  }

  /**
   * Rejects with JournalTakenError, or when the store cannot be used: then nothing may be done.
   */
  async write(state: PlannerState, decisions: readonly Decision[]): Promise<void> {
    const bytes = encodeRecord({ state, decisions });
    for (let i = 0; i < TRIES; i++) {
      if (await this.#put(bytes)) {
        this.#written = bytes;
        return;
      }
      this.#written = await this.#store.get(keyOf(this.#model));
      const other = this.#written === undefined ? undefined : decodeRecord(this.#written);
      if (other !== undefined && "record" in other && other.record.state.epoch > state.epoch) {
        const { epoch } = other.record.state;
        throw new JournalTakenError(
          `a planner of epoch ${epoch} decides for ${this.#model}; this one, of epoch ` +
            `${state.epoch}, must stop`,
        );
      }
    }
    throw new JournalTakenError(`somebody else keeps writing the journal of ${this.#model}`);
  }

  #put(bytes: Uint8Array): Promise<boolean> {
    const key = keyOf(this.#model);
    if (this.#written === undefined) return this.#store.create(key, bytes);
    return this.#store.replace(key, this.#written, bytes);
  }
}

/**
 * The state that a journal holds, for a planner that decides under `epoch` from now on. With `why`
 * it is a new one, as the bytes hold none; `lost` names the parts of it that are new.
 */
export function recordFromJournal(
  bytes: Uint8Array | undefined,
  model: string,
  config: PlannerConfig,
  epoch: number,
): ReadRecord & { readonly why?: string } {
  const start = initialState(model, config, epoch);
  const anew = { record: { state: start, decisions: [] }, lost: [] };
  if (bytes === undefined) return anew;
  const read = decodeRecord(bytes);
  if ("why" in read) return { ...anew, why: read.why };
  const { state, decisions } = read.record;
  if (state.model !== model) return { ...anew, why: `it is of another model, ${state.model}` };
  return { record: { state: withEpoch(state, epoch), decisions }, lost: read.lost };
}
