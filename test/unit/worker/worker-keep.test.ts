/** Answers that others may take up: kept when a reader is lost, and for a while once delivered. */
import { expect, test } from "bun:test";
import type { Attach, ConsumerMessage, Generate, Resumable } from "../../../proto/index.ts";
import { answerBytes } from "../../support/engine/fake-engine.ts";
import { endsIn, tokensIn, workerAlone } from "../../support/worlds/worker-alone.ts";

const resumable: Resumable = { answer: "a", attempt: 1, context: Uint8Array.of(7, 7) };
const whole = [...answerBytes([1, 2, 3], 0, 8)];

async function setUp(...options: Parameters<typeof workerAlone>) {
  const alone = await workerAlone(...options);
  const { system, worker, clock, listen } = alone;
  const deadline = { deadline_ms: 1_000 };
  const find = async (answer: string) =>
    (await system.ask(worker, { kind: "find_answer", answer }, deadline)).items;
  let readers = 0;
  const attach = async (request: string, window_tokens = 100, more: Partial<Attach> = {}) => {
    const alias = `reader-${++readers}`;
    const { actor, ref, wire } = listen<ConsumerMessage>(alias);
    const reply = await system.ask(
      worker,
      {
        kind: "attach",
        request,
        alias,
        consumer: wire,
        window_tokens,
        from: [],
        instead_of: "",
        ...more,
      },
      deadline,
    );
    return { alias, ref, reply, batches: () => actor.heard.map((each) => each.message) };
  };
  /** One that others may take up, read by the listener "consumer". */
  const begin = (changes: Partial<Generate> = {}) =>
    alone.ask(alone.generate("a", { resumable, ...changes }));
  const loseConsumer = async () => {
    system.control("/consumer", "kill");
    await clock.advance(0);
  };
  return { ...alone, find, attach, begin, loseConsumer };
}

test("an answer whose reader died is made on, and the next reader gets all of it", async () => {
  const { clock, engine, begin, loseConsumer, find, attach, batches, close } = await setUp();
  await begin();
  await clock.advance(25);
  expect(tokensIn(batches())).toEqual(whole.slice(0, 3));
  await loseConsumer();
  await clock.advance(20);
  expect(engine.live).toBe(1);
  const [held, ...others] = await find("a");
  expect(others).toEqual([]);
  expect(held).toMatchObject({ request: "a", generate: { resumable, model: "m" } });
  expect(held?.generate?.consumer).toBeUndefined();
  expect(held?.left_ms).toBeGreaterThan(4_000);
  const reader = await attach("a");
  expect(reader.reply).toEqual({ kind: "accepted", request: reader.alias });
  await clock.advance(1_000);
  expect(tokensIn(reader.batches())).toEqual(whole);
  expect(endsIn(reader.batches())).toMatchObject([{ reason: "length", total_tokens: 8 }]);
  for (const batch of reader.batches()) expect(batch.request).toBe(reader.alias);
  await close();
});

test("nobody comes: it is given up after the grace time", async () => {
  const keep = { grace_ms: 500 };
  const { clock, engine, begin, loseConsumer, find, system, close } = await setUp({}, { keep });
  await begin({ choices: [{ choice: 0, delivered: new Uint8Array(0), max_tokens: 1_000 }] });
  await clock.advance(20);
  await loseConsumer();
  await clock.advance(490);
  expect(engine.live).toBe(1);
  await clock.advance(30);
  expect(engine.live).toBe(0);
  expect(await find("a")).toEqual([]);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, kept_answers: 0, kept_bytes: 0 });
  await close();
});

test("who detaches may come back, who cancels may not", async () => {
  const { clock, engine, worker, begin, find, attach, close } = await setUp();
  await begin();
  worker.tell({ kind: "detach", request: "a" });
  await clock.advance(20);
  expect(engine.live).toBe(1);
  const reader = await attach("a");
  worker.tell({ kind: "cancel", request: reader.alias, choices: [] });
  await clock.advance(20);
  expect(engine.live).toBe(0);
  expect(await find("a")).toEqual([]);
  expect((await attach("a")).reply).toMatchObject({ kind: "refused", code: "unknown_request" });
  await close();
});

test("a cancel that the news of its reader's end overtook still ends the answer", async () => {
  for (const by of ["its own name", "another name"]) {
    const { clock, engine, worker, system, begin, find, attach, close } = await setUp();
    await begin();
    await clock.advance(20);
    const reader = await attach("a");
    await clock.advance(20);
    // The one that is lost last is the one whose word counts.
    const names = by === "another name" ? ["consumer", reader.alias] : [reader.alias, "consumer"];
    for (const name of names) system.control(`/${name}`, "kill");
    await clock.advance(0);
    expect(engine.live).toBe(1);
    const request = by === "another name" ? reader.alias : "a";
    worker.tell({ kind: "cancel", request, choices: [] });
    await clock.advance(20);
    expect(engine.live).toBe(0);
    expect(await find("a")).toEqual([]);
    await close();
  }
});

test("an old reader's late cancel ends nothing for those that came after it", async () => {
  const { clock, engine, worker, system, begin, loseConsumer, find, attach, close } = await setUp();
  const choices = [{ choice: 0, delivered: new Uint8Array(0), max_tokens: 1_000 }];
  await begin({ choices });
  await loseConsumer();
  const old = await attach("a");
  system.control(`/${old.alias}`, "kill");
  await clock.advance(0);
  const later = await attach("a");
  const cancel = { kind: "cancel", request: old.alias, choices: [] } as const;
  worker.tell(cancel);
  await clock.advance(20);
  expect(engine.live).toBe(1);
  worker.tell({ kind: "detach", request: later.alias });
  worker.tell(cancel);
  await clock.advance(20);
  expect(engine.live).toBe(1);
  expect(await find("a")).toHaveLength(1);
  await close();
});

test("a stop string that a lost reader found ends that choice, not the answer", async () => {
  const { clock, engine, worker, begin, loseConsumer, attach, batches, close } = await setUp();
  const start = { delivered: new Uint8Array(0), max_tokens: 8 };
  await begin({ choices: [0, 1].map((choice) => ({ choice, ...start })) });
  await clock.advance(25);
  const had = tokensIn(batches()).length;
  await loseConsumer();
  worker.tell({ kind: "cancel", request: "a", choices: [0] });
  await clock.advance(15);
  expect(engine.live).toBe(1);
  const reader = await attach("a");
  await clock.advance(1_000);
  expect(tokensIn(reader.batches()).length).toBe(had);
  expect(tokensIn(reader.batches(), 1).length).toBe(8);
  await close();
});

test("delivered answers are kept for a while, and read again as often as wanted", async () => {
  const { clock, begin, find, attach, system, close } = await setUp({}, { keep: { keep_ms: 500 } });
  await begin();
  await clock.advance(200);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, kept_answers: 1 });
  for (let i = 0; i < 2; i++) {
    const reader = await attach("a", 3);
    await clock.advance(20);
    expect(tokensIn(reader.batches())).toEqual(whole.slice(0, 3));
    system.control(`/${reader.alias}`, "kill");
    await clock.advance(20);
  }
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, kept_answers: 1 });
  await clock.advance(700);
  expect(system.snapshot("/worker")).toMatchObject({ kept_answers: 0, kept_bytes: 0 });
  expect(await find("a")).toEqual([]);
  await close();
});

test("the oldest go first, by number and by bytes; what none can resume is not kept", async () => {
  for (const keep of [{ answers_max: 2 }, { bytes_max: 2 * 700 }]) {
    const { clock, ask, generate, find, system, close } = await setUp({}, { keep });
    for (const answer of ["a", "b", "c"]) {
      await ask(generate(answer, { resumable: { ...resumable, answer } }));
      await clock.advance(200);
    }
    await ask(generate("plain"));
    await clock.advance(200);
    expect(system.snapshot("/worker")).toMatchObject({ kept_answers: 2 });
    expect(await find("a")).toEqual([]);
    expect(await find("b")).toHaveLength(1);
    expect(await find("c")).toHaveLength(1);
    await close();
  }
});

test("two readers at once get all of it, each at its own pace; one that leaves ends nothing", async () => {
  const { clock, worker, engine, begin, attach, batches, close } = await setUp();
  await begin();
  await clock.advance(25);
  const second = await attach("a", 2);
  const third = await attach("a");
  worker.tell({ kind: "cancel", request: third.alias, choices: [] });
  await clock.advance(200);
  expect(engine.live).toBe(0);
  expect(tokensIn(batches())).toEqual(whole);
  expect(tokensIn(second.batches())).toEqual(whole.slice(0, 2));
  worker.tell({ kind: "credit", request: second.alias, tokens_total: 100 });
  await clock.advance(20);
  expect(tokensIn(second.batches())).toEqual(whole);
  expect(endsIn(second.batches())).toHaveLength(1);
  await close();
});

test("a stop string that one reader found ends the choice for all where it ends for one", async () => {
  const { clock, worker, begin, attach, batches, close } = await setUp();
  await begin();
  await clock.advance(25);
  const second = await attach("a", 1);
  worker.tell({ kind: "cancel", request: "a", choices: [0] });
  await clock.advance(50);
  worker.tell({ kind: "credit", request: second.alias, tokens_total: 100 });
  await clock.advance(50);
  expect(tokensIn(second.batches())).toEqual(tokensIn(batches()));
  expect(endsIn(second.batches())).toMatchObject([{ reason: "cancelled", total_tokens: 3 }]);
  await close();
});

test("a continued answer is held with what its client already had, ended choices too", async () => {
  const { clock, engine, begin, attach, batches, close } = await setUp();
  const delivered = new Uint8Array(Uint32Array.from(whole.slice(0, 3)).buffer);
  const ended = {
    choice: 1,
    reason: "stop" as const,
    stop_token: 5,
    prompt_tokens: 3,
    cached_tokens: 0,
    total_tokens: 3,
    error: "",
  };
  await begin({
    choices: [
      { choice: 0, delivered, max_tokens: 5 },
      { choice: 1, delivered, max_tokens: 0, ended },
    ],
  });
  expect(engine.live).toBe(1);
  await clock.advance(200);
  expect(tokensIn(batches())).toEqual(whole.slice(3));
  expect(endsIn(batches())).toMatchObject([{ choice: 0 }]);
  const reader = await attach("a");
  await clock.advance(20);
  expect(tokensIn(reader.batches())).toEqual(whole);
  expect(tokensIn(reader.batches(), 1)).toEqual(whole.slice(0, 3));
  expect(endsIn(reader.batches())).toContainEqual(ended);
  await close();
});

test("who missed tokens reads on from there by another name, also behind the end", async () => {
  const { clock, begin, attach, batches, system, close } = await setUp();
  await begin();
  await clock.advance(35);
  const again = { from: [{ choice: 0, index: 2 }], instead_of: "a" };
  const before = tokensIn(batches()).length;
  const reader = await attach("a", 100, again);
  expect(reader.reply.kind).toBe("accepted");
  await clock.advance(1_000);
  expect(tokensIn(batches())).toHaveLength(before);
  expect(tokensIn(reader.batches())).toEqual(whole.slice(2));
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, kept_answers: 1 });
  const last = await attach("a", 100, { from: [{ choice: 0, index: 7 }], instead_of: "gone" });
  await clock.advance(10);
  expect(tokensIn(last.batches())).toEqual(whole.slice(7));
  expect(endsIn(last.batches())).toMatchObject([{ reason: "length", total_tokens: 8 }]);
  const its_end = await attach("a", 100, { from: [{ choice: 0, index: 0xffff_ffff }] });
  await clock.advance(10);
  expect(tokensIn(its_end.batches())).toEqual([]);
  expect(endsIn(its_end.batches())).toMatchObject([{ reason: "length", total_tokens: 8 }]);
  await close();
});

test("who lost the end of an answer that none can resume has a moment to fetch it", async () => {
  const { clock, ask, generate, attach, batches, system, find, close } = await setUp();
  await ask(generate("plain"));
  await clock.advance(200);
  expect(endsIn(batches())).toHaveLength(1);
  const told = { answers: 0, kept_answers: 0, kept_bytes: 0, last_answers: 1 };
  expect(system.snapshot("/worker")).toMatchObject(told);
  expect(await find("plain")).toEqual([]);
  for (let time = 0; time < 2; time++) {
    const reader = await attach("plain", 100, { from: [{ choice: 0, index: 6 }] });
    await clock.advance(4_000);
    expect(tokensIn(reader.batches())).toEqual([...answerBytes([1, 2, 3], 0, 8)].slice(6));
    expect(endsIn(reader.batches())).toMatchObject([{ reason: "length", total_tokens: 8 }]);
    expect(system.snapshot("/worker")).toMatchObject(told);
  }
  await clock.advance(7_500);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, last_answers: 0 });
  expect((await attach("plain")).reply).toMatchObject({ code: "unknown_request" });
  await close();
});

test("of those the last few are there, and none whose reader has left", async () => {
  const { clock, ask, generate, attach, worker, system, close } = await setUp();
  await ask(generate("left"));
  await clock.advance(20);
  worker.tell({ kind: "cancel", request: "left", choices: [] });
  await clock.advance(20);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, last_answers: 0 });
  for (let i = 0; i < 300; i++) {
    await ask(generate(`plain-${i}`));
    if (i % 50 === 49) await clock.advance(1_000);
  }
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, last_answers: 256 });
  expect((await attach("plain-0")).reply.kind).toBe("refused");
  expect((await attach("plain-299")).reply.kind).toBe("accepted");
  // A new one by the name of an old one is another answer.
  await ask(generate("plain-298"));
  expect(system.snapshot("/worker")).toMatchObject({ answers: 1, last_answers: 255 });
  await clock.advance(200);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0, last_answers: 256 });
  await close();
});

test("readers are bounded, and each needs a name of its own", async () => {
  const { begin, attach, worker, system, listen, close } = await setUp();
  await begin();
  for (let i = 0; i < 7; i++) expect((await attach("a")).reply.kind).toBe("accepted");
  expect((await attach("a")).reply).toMatchObject({ code: "rate_limited" });
  const { wire } = listen<ConsumerMessage>("twin");
  const twin = {
    kind: "attach",
    request: "a",
    alias: "a",
    consumer: wire,
    window_tokens: 1,
    from: [],
    instead_of: "",
  } as const;
  expect(await system.ask(worker, twin, { deadline_ms: 1_000 })).toMatchObject({
    code: "bad_request",
  });
  await close();
});

test("of those who claim the same answer one is the first, until it ends or gives it back", async () => {
  const { system, worker, clock, listen, close } = await setUp();
  const { wire } = listen<ConsumerMessage>("door");
  const claim = async (name: string, over = false) => {
    const message = { kind: "claim", answer: "a", claim: name, claimer: wire, over } as const;
    return (await system.ask(worker, message, { deadline_ms: 1_000 })).first;
  };
  expect([await claim("one"), await claim("two"), await claim("one")]).toEqual([true, false, true]);
  expect(system.snapshot("/worker")).toMatchObject({ claims: 1 });
  await clock.advance(600_000);
  expect(await claim("two")).toBe(false);
  // It is not its own to give back.
  expect(await claim("two", true)).toBe(false);
  expect(await claim("two")).toBe(false);
  await claim("one", true);
  expect(await claim("two")).toBe(true);
  system.control("/door", "kill");
  await clock.advance(1);
  expect(system.snapshot("/worker")).toMatchObject({ claims: 0 });
  await close();
});
