/** A connector with somebody behind it who carries out what is asked, or does not. */
import type { Connector, PoolView } from "../../../actors/planner/connect/connector.ts";

export type ConnectorRig = {
  readonly connector: Connector;
  /** A second connector to the same workers, as a planner that was started again has. */
  again(): Connector;
  /** From now on whatever is asked is carried out, also what was asked before. */
  obey(): void;
  /** From now on nothing is carried out, and who asked is not told. */
  ignore(): void;
  /** From now on nothing that is to come does come, and who asked is told, soon. */
  refuse(why: string): void;
  stop(): Promise<void>;
};

export const model = "troupe-tiny";

/** @param epoch of the planner that asks */
export const change = (name: string, epoch = 1) => ({ change: name, epoch, model });

/** In the order of the view. */
export async function namesOf(connector: Connector, state = "serving"): Promise<string[]> {
  const view: PoolView | undefined = await connector.view(model);
  if (view === undefined) throw new Error("nobody could be asked");
  return view.workers.filter((each) => each.state === state).map(({ worker }) => worker);
}
