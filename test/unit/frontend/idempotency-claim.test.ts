/** Of the requests that would begin one answer one does, for as long as it and its door live. */
import { expect, test } from "bun:test";
import { claimsOver } from "../../../actors/frontend/resume/idempotency-claim.ts";
import { Claims } from "../../../actors/worker/answers/claims.ts";
import type { ActorRef, WorkerMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { countingIds } from "../../../runtime/simulation/random.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

const wireOf = (name: string): ActorRef => ({
  ...{ node: name, path: "/x", incarnation: new Uint8Array(8), address: "" },
});

/** Doors and the workers that they ask; every worker answers, unless it is frozen. */
function world(...names: readonly string[]) {
  const { system, clock } = testSystem(1);
  const workers = new Set(names);
  const refs = new Map<string, Ref<WorkerMessage>>();
  const books = new Map<string, Claims>();
  const frozen = new Set<string>();
  for (const name of ["a", "b", "c", "d", "e"]) {
    const make = actorOf<WorkerMessage>({
      init: (ctx) => {
        books.set(name, new Claims({ demonitor: (monitor) => ctx.demonitor(monitor) }));
      },
      receive: (message, ctx) => {
        if (message.kind !== "claim" || frozen.has(name)) return;
        const { answer, claim, claimer, over } = message;
        const book = books.get(name)!;
        const door = () => ctx.monitor(refs.get(claimer!.node)!);
        const first = over ? false : book.claim(answer, claim, door);
        if (over) book.release(answer, claim);
        ctx.reply({ kind: "claimed", answer, first });
      },
      down: ({ monitor }) => void books.get(name)!.claimerGone(monitor),
    });
    refs.set(name, system.spawn(make, { name }));
  }
  const door = (name: string) => {
    refs.set(name, system.spawn(actorOf<WorkerMessage>({}), { name }));
    const claims = claimsOver({
      ...{ system, ids: countingIds(name) },
      workers: () => [...workers].map((worker) => ({ worker, ref: wireOf(worker) })),
      resolve: ({ node }) => refs.get(node)!,
      claimer: () => wireOf(name),
    });
    return () => claims.of("answer");
  };
  /** As a door waits for it, with the time that this takes. */
  const settled = async <T>(work: Promise<T>): Promise<T> => {
    let over = false;
    void work.then(() => {
      over = true;
    });
    for (let i = 0; i < 300 && !over; i += 1) await clock.advance(20);
    return work;
  };
  const held = () => [...books.values()].reduce((sum, book) => sum + book.count, 0);
  return { system, clock, workers, frozen, door, settled, held };
}

const abc = ["a", "b", "c"] as const;

test("a claim lasts as long as its request, however long that waits", async () => {
  const { clock, door, settled, held } = world(...abc);
  const first = door("door1")();
  const retry = door("door2")();
  expect(await settled(first.isFirst())).toBe(true);
  await clock.advance(599_000);
  expect(await settled(retry.isFirst())).toBe(false);
  first.release();
  await clock.advance(1);
  expect(held()).toBe(0);
  expect(await settled(retry.isFirst())).toBe(true);
});

test("it ends with its door", async () => {
  const { system, clock, door, settled, held } = world(...abc);
  expect(await settled(door("door1")().isFirst())).toBe(true);
  const retry = door("door2")();
  expect(await settled(retry.isFirst())).toBe(false);
  system.control("/door1", "kill");
  await clock.advance(1);
  expect(held()).toBe(0);
  expect(await settled(retry.isFirst())).toBe(true);
});

test("what is given back late, or twice, is not what another one holds by then", async () => {
  const { clock, door, settled } = world(...abc);
  const old = door("door1")();
  expect(await settled(old.isFirst())).toBe(true);
  old.release();
  await clock.advance(1);
  const newer = door("door2")();
  expect(await settled(newer.isFirst())).toBe(true);
  old.release();
  await clock.advance(5_000);
  expect(await settled(door("door3")().isFirst())).toBe(false);
});

test("of many at once one is the first, and when it is over another one", async () => {
  const { door, settled } = world(...abc);
  const claims = ["door1", "door2", "door3", "door4"].map((name) => door(name)());
  const won = await settled(Promise.all(claims.map((claim) => claim.isFirst())));
  expect(won.filter((first) => first)).toHaveLength(1);
  claims[won.indexOf(true)]!.release();
  const rest = claims.filter((_, i) => !won[i]);
  const next = await settled(Promise.all(rest.map((claim) => claim.isFirst())));
  expect(next.filter((first) => first)).toHaveLength(1);
});

test("workers that come, go or freeze do not make two of one", async () => {
  const changes: readonly ((of: ReturnType<typeof world>, worker: string) => void)[] = [
    ({ workers }, worker) => void workers.delete(worker),
    ({ frozen }, worker) => void frozen.add(worker),
    ({ workers }) => void workers.add("d"),
    ({ workers }) => void workers.add("e"),
  ];
  for (const change of changes) {
    for (const worker of abc) {
      const made = world(...abc);
      expect(await made.settled(made.door("door1")().isFirst())).toBe(true);
      change(made, worker);
      expect(await made.settled(made.door("door2")().isFirst())).toBe(false);
    }
  }
});

test("a worker that did not hear of an end is told again", async () => {
  const { clock, frozen, door, settled, held } = world(...abc);
  const first = door("door1")();
  expect(await settled(first.isFirst())).toBe(true);
  frozen.add("b");
  first.release();
  await clock.advance(10_000);
  expect(held()).toBe(1);
  frozen.delete("b");
  await clock.advance(5_000);
  expect(held()).toBe(0);
});

test("without any worker there is nobody to ask, and nothing to wait for", async () => {
  const { door, settled } = world();
  expect(await settled(door("door1")().isFirst())).toBe(true);
});
