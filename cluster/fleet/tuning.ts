/**
 * Weights of all routers, changed while they run. Those that are there are asked one by one and say
 * that they took them; the registry keeps them for those that start later.
 */
import { codecs, type SetWeights } from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { rootPaths } from "../../supervisors/paths.ts";
import { type Discovery, keys } from "../discovery.ts";
import type { RouterSettings } from "../settings/router/router-settings.ts";
import type { RouterPage } from "../settings/router/router-weights.ts";

export type Tuned = {
  readonly page: RouterPage;
  /** What held before of each name that was changed; null: what the flags say. */
  readonly before: Readonly<Record<string, number | null>>;
  /** Routers that took it, and those that did not answer; these read it in the registry. */
  readonly told: number;
  readonly silent: number;
};

const TELL_MS = 2_000;

export class Tuning {
  readonly #system: ActorSystem;
  readonly #discovery: Discovery;
  readonly #router: RouterSettings;
  readonly #root: string;

  /** @param root name of this machine's root */
  constructor(system: ActorSystem, discovery: Discovery, router: RouterSettings, root: string) {
    this.#system = system;
    this.#discovery = discovery;
    this.#router = router;
    this.#root = root;
  }

  /** What was set since the start, of all machines. */
  get changes(): Readonly<Record<string, number>> {
    const items = this.#discovery.weights()?.items ?? [];
    return Object.fromEntries(items.map(({ name, value }) => [name, value]));
  }

  async page(): Promise<RouterPage> {
    const { routerPage } = await settingsOfWeights();
    return routerPage(this.#router, this.changes);
  }

  /** `null` takes a weight back to what the flags say. Rejects with one line that says why. */
  async change(wishes: Readonly<Record<string, unknown>>): Promise<Tuned> {
    const { wishProblem } = await settingsOfWeights();
    const wrong = wishProblem(this.#router, wishes);
    if (wrong !== undefined) throw new Error(wrong);
    const changes = { ...this.changes };
    const before: Record<string, number | null> = {};
    for (const [name, value] of Object.entries(wishes)) {
      before[name] = changes[name] ?? null;
      if (typeof value === "number") changes[name] = value;
      else delete changes[name];
    }
    const { told, silent } = await this.#tell(changes);
    return { page: await this.page(), before, told, silent };
  }

  async #tell(changes: Readonly<Record<string, number>>) {
    const last_ms = this.#discovery.weights()?.set_ms ?? 0;
    const weights = {
      items: Object.entries(changes).map(([name, value]) => ({ name, value })),
      // A clock that was set back must not make it older than the one before.
      set_ms: Math.max(this.#system.capabilities.clock.wall_ms(), last_ms + 1),
    };
    const owner = this.#system.lookup(rootPaths.top);
    if (owner === undefined) throw new Error("the cluster stops");
    const value = codecs.RouterWeights.encode(weights).finish();
    try {
      await this.#discovery.register(keys.weights(this.#root), value, owner);
    } catch (error) {
      throw new Error(`the registry does not answer: ${errorText(error)}`);
    }
    const routers = this.#discovery.owners<SetWeights>(keys.router(""));
    const answers = await Promise.allSettled(
      routers.map((router) =>
        this.#system.ask(router, { kind: "set_weights", weights }, { deadline_ms: TELL_MS }),
      ),
    );
    const told = answers.filter(({ status }) => status === "fulfilled").length;
    return { told, silent: answers.length - told };
  }
}

/** A root loads nothing of routers before somebody asks. */
const settingsOfWeights = () => import("../settings/router/router-weights.ts");
