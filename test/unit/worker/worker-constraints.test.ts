/** A worker compiles what an answer shall keep to before it says that it takes the request. */
import { expect, test } from "bun:test";
import { EchoEngine } from "../../../actors/engine/echo/echo.ts";
import type { EngineRefusal } from "../../../actors/engine/engine.ts";
import { Arrivals } from "../../../actors/worker/answers/arrivals.ts";
import { Preparations, type PreparedMessage } from "../../../actors/worker/preparations.ts";
import { constraintText } from "../../../llm/constraint/constraint.ts";
import type { Generate } from "../../../proto/index.ts";
import type { ReplyPort } from "../../../runtime/kernel/ref.ts";
import { workerAlone } from "../../support/worlds/worker-alone.ts";

type Done = (refusal: EngineRefusal | undefined) => void;

class Compiler extends EchoEngine {
  readonly asked: Done[] = [];
  known: { readonly refusal: EngineRefusal | undefined } | undefined;

  prepare(_constraint: string, done: Done): void {
    if (this.known === undefined) this.asked.push(done);
    else done(this.known.refusal);
  }
}

const REFUSAL: EngineRefusal = { code: "bad_request", message: "it is broken" };
const port = { reply: () => true } as unknown as ReplyPort;
const generate = (request: string, constraint?: string) =>
  ({ request, constraint }) as unknown as Generate;

function prepared() {
  const engine = new Compiler();
  const told: PreparedMessage[] = [];
  const preparations = new Preparations(
    () => engine,
    (message) => told.push(message),
    new Arrivals({ now_ms: () => 0, trace: () => undefined }),
  );
  return { engine, told, preparations };
}

test("a request without a constraint waits for nothing", () => {
  const { preparations, engine } = prepared();
  expect(preparations.start(generate("a"), () => port)).toBeUndefined();
  expect(engine.asked).toEqual([]);
});

test("what is known is answered at once", () => {
  const { preparations, engine } = prepared();
  engine.known = { refusal: undefined };
  expect(preparations.start(generate("a", "{}"), () => port)).toBeUndefined();
  engine.known = { refusal: REFUSAL };
  expect(preparations.start(generate("b", "{}"), () => port)).toEqual(REFUSAL);
  expect(preparations.waiting).toBe(0);
});

test("what is compiled comes as a message, with its refusal", () => {
  const { preparations, engine, told } = prepared();
  expect(preparations.start(generate("a", "{}"), () => port)).toBe("held");
  expect(preparations.start(generate("b", "[]"), () => port)).toBe("held");
  engine.asked[1]!(REFUSAL);
  engine.asked[0]!(undefined);
  expect(told.map(({ refusal }) => refusal)).toEqual([REFUSAL, undefined]);
  expect(preparations.take(told[0]!)?.generate.request).toBe("b");
  expect(preparations.take(told[1]!)?.generate.request).toBe("a");
  expect(preparations.waiting).toBe(0);
});

test("a cancelled request is not taken any more", () => {
  const { preparations, engine, told } = prepared();
  preparations.start(generate("a", "{}"), () => port);
  preparations.drop("a");
  engine.asked[0]!(undefined);
  expect(preparations.take(told[0]!)).toBeUndefined();
});

test("a worker knows the request whose constraint it compiles", async () => {
  const { clock, engine, worker, ask, generate: asked, system, close } = await workerAlone();
  const waiting: Done[] = [];
  Object.assign(engine, { prepare: (_constraint: string, done: Done) => waiting.push(done) });
  const { capabilities, ...description } = engine.describe();
  engine.describe = () => ({ ...description, capabilities: { ...capabilities, constrains: true } });
  const constraint = constraintText({ format: { type: "any_text" } });
  const taken = ask({ ...asked("r"), constraint });
  await clock.advance(0);
  expect(waiting).toHaveLength(1);
  const known = async (request: string) =>
    (await system.ask(worker, { kind: "probe", request }, { deadline_ms: 100 })).known;
  expect([await known("r"), await known("s")]).toEqual([true, false]);
  waiting[0]!(undefined);
  await clock.advance(0);
  expect(await taken).toMatchObject({ kind: "accepted" });
  expect(await known("r")).toBe(true);
  await close();
});
