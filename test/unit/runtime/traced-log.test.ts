/** A line of the log that is written while a traced message is handled names trace and request. */
import { expect, test } from "bun:test";
import { Actor } from "../../../runtime/kernel/actor.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

type Say = { readonly kind: "say" };

class Sayer extends Actor<Say> {
  receive(): void {
    this.ctx.log.log("info", "said", { more: 1 });
  }
}

test("trace and request stand in the line, and in no other one", async () => {
  const { system, log } = testSystem();
  const sayer = system.spawn(() => new Sayer(), { name: "sayer" });
  const ids = { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331" };
  const ask = { deadline_ms: 10, trace: { ...ids, flags: 1, correlation: "r-1" } };
  void system.ask(sayer, { kind: "say" } as never, ask).catch(() => {});
  sayer.tell({ kind: "say" });
  await system.idle();
  const lines = log.lines.filter(({ message }) => message === "said").map(({ fields }) => fields);
  expect(lines).toEqual([
    { actor: "/sayer", trace_id: ids.trace_id, request: "r-1", more: 1 },
    { actor: "/sayer", more: 1 },
  ]);
});
