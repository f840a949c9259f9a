import { expect, test } from "bun:test";
import fc from "fast-check";
import { CancelledError, CancelScope } from "../../runtime/cancellation.ts";
import { VirtualClock } from "../../runtime/clock.ts";
import { actorOf } from "../support/actor-of.ts";
import { testSystem } from "../support/test-system.ts";

test("a cancel reaches everything under it once, inner parts first", () => {
  const request = new CancelScope(new VirtualClock());
  const decode = request.child();
  const told: string[] = [];
  request.onCancel((reason) => told.push(`request ${reason}`));
  decode.onCancel((reason) => told.push(`decode ${reason}`));
  const sample = decode.child();
  sample.onCancel((reason) => told.push(`sample ${reason}`));
  expect(request.cancel("client gone")).toBe(true);
  expect(request.cancel("again")).toBe(false);
  expect(told).toEqual(["request client gone", "sample client gone", "decode client gone"]);
  expect(sample.reason).toBe("client gone");
});

test("a child's cancel leaves its parent alone", () => {
  const request = new CancelScope(new VirtualClock());
  const child = request.child();
  child.cancel("not needed");
  expect(request.cancelled).toBe(false);
  expect(() => child.throwIfCancelled()).toThrow(CancelledError);
  request.throwIfCancelled();
});

test("the earlier deadline of scope and parent counts", async () => {
  const clock = new VirtualClock();
  const request = new CancelScope(clock, 100);
  const short = request.child(50);
  const long = request.child(500);
  expect([request.left_ms(), short.left_ms(), long.left_ms()]).toEqual([100, 50, 100]);
  await clock.advance(60);
  expect([short.reason, long.reason]).toEqual(["deadline", undefined]);
  await clock.advance(60);
  expect([request.reason, long.reason]).toEqual(["deadline", "deadline"]);
  expect(clock.pending).toBe(0);
});

test("a closed scope hears nothing more and holds no timer", async () => {
  const clock = new VirtualClock();
  const request = new CancelScope(clock, 100);
  const part = request.child(50);
  let told = 0;
  part.onCancel(() => told++);
  part.close();
  expect(clock.pending).toBe(1);
  request.cancel("gone");
  expect(part.cancel("late")).toBe(false);
  expect([told, part.cancelled, clock.pending]).toEqual([0, false, 0]);
});

test("who comes late is told at once; a signal is aborted with the reason", () => {
  const scope = new CancelScope(new VirtualClock());
  const before = scope.signal;
  scope.cancel("why");
  let told = "";
  scope.onCancel((reason) => (told = reason));
  expect(told).toBe("why");
  expect(before.reason).toBeInstanceOf(CancelledError);
  const other = new CancelScope(new VirtualClock());
  other.cancel("so");
  expect(other.signal.aborted).toBe(true);
  expect(scope.child().cancelled).toBe(true);
});

test("a scope goes on in another actor as a message", async () => {
  const { system } = testSystem();
  const got: string[] = [];
  const worker = system.spawn(
    actorOf<{ readonly kind: "cancel"; readonly request: string }>({
      receive: (message) => void got.push(message.request),
    }),
    { name: "worker" },
  );
  const scope = new CancelScope(system.capabilities.clock);
  scope.tellOnCancel(worker, { kind: "cancel", request: "r1" });
  const stop = scope.tellOnCancel(worker, { kind: "cancel", request: "r2" });
  stop();
  scope.cancel("client gone");
  await system.idle();
  expect(got).toEqual(["r1"]);
});

test("in any tree of scopes, exactly those below a cancelled one are cancelled", () => {
  const parents = fc.array(fc.nat(), { maxLength: 30 });
  fc.assert(
    fc.property(parents, fc.array(fc.nat(), { maxLength: 5 }), (draws, cancels) => {
      const scopes = [new CancelScope(new VirtualClock())];
      const above: number[] = [-1];
      const told: number[] = [0];
      for (const draw of draws) {
        const parent = draw % scopes.length;
        const scope = (scopes[parent] as CancelScope).child();
        const index = scopes.push(scope) - 1;
        above.push(parent);
        told.push(0);
        scope.onCancel(() => {
          told[index] = (told[index] ?? 0) + 1;
        });
      }
      const hit = new Set(cancels.map((draw) => draw % scopes.length));
      for (const index of hit) scopes[index]?.cancel("x");
      scopes.forEach((scope, index) => {
        let at = index;
        while (at >= 0 && !hit.has(at)) at = above[at] as number;
        expect(scope.cancelled).toBe(at >= 0);
        if (index > 0) expect(told[index]).toBe(at >= 0 ? 1 : 0);
      });
    }),
  );
});
