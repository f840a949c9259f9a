/** What one planner tells of itself: to pages that ask, and in a file once an interval. */
import type { Files, Log } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { Decision } from "../pipeline/decision.ts";
import { PlanHistory } from "./plan-history.ts";
import type { PlanHead, PlanPage } from "./plan-page.ts";
import { reportOf } from "./planner-report.ts";
import { ReportFile } from "./report-file.ts";

export type TellerWorld = { readonly files: Files; readonly log: Log };

export class PlanTeller {
  readonly #history = new PlanHistory();
  readonly #world: TellerWorld;
  /** How the planner is at the moment. */
  readonly #head: () => PlanHead;
  readonly #file: ReportFile;

  /** @param now_ms of the clock that `decided` is told */
  constructor(world: TellerWorld, head: () => PlanHead, now_ms: number) {
    const { config, model } = head();
    this.#world = world;
    this.#head = head;
    this.#file = new ReportFile(world.files, config, model, now_ms);
  }

  /** @param decisions of the journal, oldest first: those of the planner before this one */
  tookOver(decisions: readonly Decision[]): void {
    this.#history.remember(decisions);
  }

  decided(decision: Decision, now_ms: number): void {
    this.#history.push(decision);
    this.#file
      .tick(now_ms, () => this.#report())
      .catch((error: unknown) => {
        const fields = { path: this.#file.path ?? "", why: errorText(error) };
        this.#world.log.log("warn", "planner: its report cannot be written", fields);
      });
  }

  /**
   * plan: a PlanPage, `about` the time after which points and decisions are told; report: `{html}`,
   * `about` the model.
   */
  detail(name: string, about: string): PlanPage | { readonly html: string } | undefined {
    if (name === "plan") return this.#history.page(this.#head(), Number(about) || undefined);
    const isOurs = about === "" || about === this.#head().model;
    return name === "report" && isOurs ? { html: this.#report() } : undefined;
  }

  #report(): string {
    const head = this.#head();
    const { config, model } = head;
    const facts = { title: `Planner of ${model}`, config, clock: "wall" } as const;
    return reportOf(this.#history.page(head), facts);
  }
}
