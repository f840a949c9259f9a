/** An actor that tells decisions as a planner does, without deciding any. */
import { PlanHistory } from "../../../actors/planner/report/plan-history.ts";
import type { PlanHead } from "../../../actors/planner/report/plan-page.ts";
import { reportOf } from "../../../actors/planner/report/planner-report.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { toldHead } from "./told-decisions.ts";

export class TellingPlanner extends Actor<Message> {
  readonly history = new PlanHistory();
  head: PlanHead;

  constructor(head: PlanHead = toldHead) {
    super();
    this.head = head;
  }

  receive(): void {}

  override detail(name: string, about: string) {
    if (name === "plan") return this.history.page(this.head, Number(about));
    if (name !== "report" || about !== this.head.model) return undefined;
    const { config, model } = this.head;
    const facts = { title: `Planner of ${model}`, config, clock: "wall" } as const;
    return { html: reportOf(this.history.page(this.head), facts) };
  }
}
