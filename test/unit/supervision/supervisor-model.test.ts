import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { RestartType, Strategy } from "../../../runtime/supervision/child-spec.ts";
import { supervisor } from "../../../runtime/supervision/supervisor.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { noBackoff, testSystem } from "../../support/worlds/test-system.ts";

/**
 * Sequences of commands against a supervisor and against a model of which children it has and
 * which of them run. The model has no effects, no order of steps and no supervisor in it.
 */

type Ending = "crash" | "normal" | "shutdown" | "killed";
type Command =
  | { readonly do: "end"; readonly child: number; readonly how: Ending }
  | { readonly do: "start"; readonly restart: RestartType }
  | { readonly do: "terminate" | "restart" | "delete"; readonly child: number }
  | { readonly do: "wait"; readonly for_ms: number };

type ModelChild = { readonly id: string; readonly restart: RestartType; running: boolean };

class Model {
  children: ModelChild[] = [];
  alive = true;
  #restarts: number[] = [];
  #born = 0;
  readonly strategy: Strategy;
  readonly intensity: number;
  readonly period_ms: number;

  constructor(strategy: Strategy, intensity: number, period_ms: number) {
    this.strategy = strategy;
    this.intensity = intensity;
    this.period_ms = period_ms;
  }

  nextId(): string {
    return `c${this.#born++}`;
  }

  end(child: ModelChild, how: Ending, now_ms: number): void {
    if (!child.running) return;
    const failed = how === "crash" || how === "killed";
    child.running = false;
    if (child.restart === "temporary") {
      this.#forget(child);
      return;
    }
    if (child.restart === "transient" && !failed) return;
    this.#restarts = [now_ms, ...this.#restarts.filter((at) => now_ms - at <= this.period_ms)];
    if (this.#restarts.length > this.intensity) {
      this.alive = false;
      this.children = [];
      return;
    }
    const at = this.children.indexOf(child);
    const from = this.strategy === "one_for_all" ? 0 : at;
    const alone = this.strategy === "one_for_one" || this.strategy === "dynamic";
    const to = alone ? at + 1 : this.children.length;
    for (const one of this.children.slice(from, to)) {
      if (one.restart === "temporary") this.#forget(one);
      else one.running = true;
    }
  }

  terminate(child: ModelChild): void {
    child.running = false;
    if (child.restart === "temporary" || this.strategy === "dynamic") this.#forget(child);
  }

  delete(child: ModelChild): void {
    if (!child.running) this.#forget(child);
  }

  #forget(child: ModelChild): void {
    this.children = this.children.filter((one) => one !== child);
  }
}

const restart = fc.constantFrom<RestartType>("permanent", "transient", "temporary");
const how = fc.constantFrom<Ending>("crash", "normal", "shutdown", "killed");
const childAction = fc.constantFrom("terminate" as const, "restart" as const, "delete" as const);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("end" as const), child: fc.nat(9), how }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const), restart }) },
  { weight: 3, arbitrary: fc.record({ do: childAction, child: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), for_ms: fc.integer({ max: 400 }) }),
  },
);
const strategy = fc.constantFrom<Strategy>("one_for_one", "one_for_all", "rest_for_one", "dynamic");

type End = { readonly kind: "end"; readonly how: Ending };

const child = actorOf<End>({
  receive: (message, ctx) => {
    if (message.how === "crash") throw new Error("crash");
    if (message.how !== "killed") ctx.stop(undefined, { kind: message.how });
    else ctx.stop(undefined, { kind: "killed" });
  },
});

test("after any sequence of commands, exactly the children of the model run", async () => {
  const initial = fc.array(restart, { maxLength: 4 });
  const commands = fc.array(command, { maxLength: 25, size: "large" });
  const intensities = fc.integer({ min: 0, max: 8 });
  await fc.assert(
    fc.asyncProperty(
      strategy,
      intensities,
      initial,
      commands,
      async (which, intensity, first, all) => {
        const { system, clock } = testSystem();
        const period_ms = 500;
        const model = new Model(which, intensity, period_ms);
        for (const one of first) {
          model.children.push({ id: model.nextId(), restart: one, running: true });
        }
        const children = model.children.map((one) => ({ ...one, start: child }));
        const spec = { strategy: which, intensity, period_ms, backoff: noBackoff, children };
        const ref = system.spawn(supervisor(spec), { name: "sup" });
        const act = async (one: Command): Promise<void> => {
          if (one.do === "wait") {
            await clock.advance(Math.max(0, one.for_ms));
            return;
          }
          if (one.do === "start") {
            const id = model.nextId();
            const message = { kind: "start_child", spec: { ...one, id, start: child } } as const;
            await system.ask(ref, message, { deadline_ms: 100 });
            model.children.push({ id, restart: one.restart, running: true });
            return;
          }
          const target = model.children[one.child % Math.max(1, model.children.length)];
          if (target === undefined) return;
          if (one.do === "end") {
            system.lookup(`/sup/${target.id}`)?.tell({ kind: "end", how: one.how } as Message);
            model.end(target, one.how, clock.now_ms());
            return;
          }
          const message = { kind: `${one.do}_child`, id: target.id } as const;
          await system.ask(ref, message, { deadline_ms: 100 }).catch(() => "refused");
          if (one.do === "restart") target.running = true;
          else model[one.do](target);
        };
        for (const one of all) {
          await act(one);
          await system.idle();
          const nodes = system.tree();
          const running = nodes.map(({ path }) => path.slice("/sup/".length)).filter(Boolean);
          const expected = model.children.filter((one) => one.running).map(({ id }) => id);
          // Alone, a dynamic supervisor's children are listed by age.
          expect(running.sort()).toEqual(expected.sort());
          expect(nodes.length > 0).toBe(model.alive);
          if (!model.alive) return;
          const list = await system.ask(ref, { kind: "which_children" }, { deadline_ms: 100 });
          expect(list.map(({ id }) => id)).toEqual(model.children.map(({ id }) => id));
        }
      },
    ),
    { numRuns: 300 },
  );
});
