/** What it costs the actors of one process that its tree is watched. */
import { Watching } from "../../../actors/inspector/watching.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ask, Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { startDoorSystem } from "../../support/inspector/door-system.ts";
import { openPage } from "../../support/inspector/live-page.ts";
import type { Row } from "../bench.ts";
import { median, rounded } from "../statistics.ts";

const idle = 10_000;
const rounds = 8;
const phase_ms = 700;
/** As pages are told. */
const look_every_ms = 500;
const askers = 64;

type Work = Ask<number> & { readonly kind: "work" };

/** A few microseconds a message, as real actors take. */
class Busy extends Actor<Work> {
  #sum = 0;
  receive(): void {
    for (let i = 0; i < 500; i++) this.#sum = (this.#sum * 31 + i) | 0;
    this.ctx.reply(this.#sum);
  }
}

class Idle extends Actor<Message> {
  readonly #children: number;
  constructor(children: number) {
    super();
    this.#children = children;
  }
  override init(): void {
    for (let i = 0; i < this.#children; i++) {
      this.ctx.spawn(() => new Idle(0), { name: `idle-${i}` });
    }
  }
  receive(): void {}
}

/** Ten thousand idle ones under one parent, and under a hundred. */
export async function benchWatchedActors(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const parents of [1, 100]) {
    await using door = await startDoorSystem();
    const { system } = door;
    for (let i = 0; i < parents; i++) {
      system.spawn(() => new Idle(idle / parents), { name: `parent-${i}` });
    }
    const busy = Array.from(
      { length: askers },
      (_, i): Ref<Work> => system.spawn(() => new Busy(), { name: `busy-${i}` }),
    );
    await asksPerCoreS(system, busy, phase_ms);
    const pairs: { alone: number; watched: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const pair = { alone: 0, watched: 0 };
      for (const which of round % 2 === 0 ? order : order.toReversed()) {
        pair[which] =
          which === "alone"
            ? await asksPerCoreS(system, busy, phase_ms)
            : await watched(system, busy);
      }
      pairs.push(pair);
    }
    rows.push({
      case: `${idle} idle actors, ${parents === 1 ? "one parent" : `${parents} parents`}`,
      ratio: rounded(median(pairs.map((each) => each.watched / each.alone)), 3),
      asks_per_core_s: rounded(median(pairs.map(({ alone }) => alone)), 0),
      ratios: pairs.map((each) => rounded(each.watched / each.alone, 3)).join(" "),
    });
  }
  return rows;
}

const order = ["alone", "watched"] as const;

/** Looks as often as pages are told; the tree has been known for a while then. */
async function watched(system: ActorSystem, busy: readonly Ref<Work>[]): Promise<number> {
  const watching = new Watching(system);
  let seen = 0;
  let over = false;
  const looking = (async () => {
    while (!over) {
      const question = { kind: "get_tree_delta", watch: "w", seen, rows_max: 10_000 } as const;
      ({ number: seen } = await watching.treeDelta(question));
      await Bun.sleep(look_every_ms);
    }
  })();
  await asksPerCoreS(system, busy, phase_ms);
  const rate = await asksPerCoreS(system, busy, phase_ms);
  over = true;
  await looking;
  watching.stop();
  await asksPerCoreS(system, busy, phase_ms / 2);
  return rate;
}

/** A second of a core counts, so that other programs of the machine do not. */
async function asksPerCoreS(
  system: ActorSystem,
  busy: readonly Ref<Work>[],
  for_ms: number,
): Promise<number> {
  const until_ms = performance.now() + for_ms;
  const before = process.cpuUsage();
  let asks = 0;
  await Promise.all(
    busy.map(async (ref) => {
      while (performance.now() < until_ms) {
        await system.ask(ref, { kind: "work" }, { deadline_ms: 10_000 });
        asks++;
      }
    }),
  );
  const { user, system: kernel } = process.cpuUsage(before);
  return (asks * 1_000_000) / (user + kernel);
}

const changing = 500;
const updates_ms = 5_000;

/** Half a thousand rows that change between any two looks: a thousand updates a second. */
export async function benchWatchedUpdates(): Promise<Row> {
  await using door = await startDoorSystem();
  const { system } = door;
  const parents = 10;
  const refs: Ref<Message>[] = [];
  for (let p = 0; p < parents; p++) {
    system.spawn(() => new Idle(changing / parents), { name: `parent-${p}` });
    for (let i = 0; i < changing / parents; i++) {
      refs.push(system.lookup(`/parent-${p}/idle-${i}`) as Ref<Message>);
    }
  }
  using page = openPage(door.url, { watch: ["tree"] });
  await page.until("tree", () => true);
  let rows = 0;
  let over = false;
  const counting = (async () => {
    while (!over) {
      const { frame } = await page.until("tree", () => true);
      rows += (frame["nodes"] as readonly object[]).length;
    }
  })();
  const telling = setInterval(() => {
    for (const ref of refs) ref.tell({ kind: "x" });
  }, look_every_ms / 5);
  const before = { cpu: process.cpuUsage(), bytes: page.bytes };
  await Bun.sleep(updates_ms);
  const { user, system: kernel } = process.cpuUsage(before.cpu);
  over = true;
  await counting;
  clearInterval(telling);
  return {
    case: `${(changing * 1_000) / look_every_ms} updates a second`,
    rows_per_s: rounded((rows * 1_000) / updates_ms, 0),
    kb_per_s: rounded((page.bytes - before.bytes) / updates_ms, 1),
    // Page and door are one process here.
    cpu_cores: rounded((user + kernel) / 1_000 / updates_ms, 3),
  };
}
