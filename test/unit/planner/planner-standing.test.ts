/** What a planner that does not decide says of itself: who has the model's name. */
import { expect, test } from "bun:test";
import { PlannerJournal } from "../../../actors/planner/journal/journal.ts";
import { plannerParts } from "../../../actors/planner/pipeline/parts.ts";
import { type NameHolder, PlannerActor } from "../../../actors/planner/planner-actor.ts";
import type { PlanPage } from "../../../actors/planner/report/plan-page.ts";
import { plan_config } from "../../support/planner/plan-cases.ts";
import { absent, testSystem } from "../../support/worlds/test-system.ts";

test("its last life, another planner, and nobody are told apart, in words", async () => {
  const { system } = testSystem();
  const { store, log } = system.capabilities;
  let holder: NameHolder = "nobody";
  await system.spawnReady(
    () =>
      new PlannerActor({
        ...{ model: "m", config: plan_config, parts: plannerParts(plan_config) },
        observer: absent("observer"),
        connector: absent("connector"),
        journal: new PlannerJournal(store, log, "m"),
        epoch: () => undefined,
        holder: () => holder,
      }),
    { name: "m" },
  );
  const told = () => system.detail("/m", "plan", "0") as unknown as PlanPage;
  expect(told().standing).toBe("starts");
  holder = "last_life";
  expect([told().standing, told().says]).toEqual(["waits", expect.stringContaining("lease")]);
  holder = "another";
  expect([told().standing, told().says]).toEqual([
    "stands_by",
    expect.stringContaining("Another planner decides"),
  ]);
});
