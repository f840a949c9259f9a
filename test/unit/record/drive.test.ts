/** One actor is recorded and driven again: by itself it becomes the same, changed it is caught. */
import { expect, test } from "bun:test";
import type { Capabilities, Clock, Files, Spawn } from "../../../runtime/capabilities.ts";
import { Actor, type Down } from "../../../runtime/kernel/actor.ts";
import type { Ask } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { drive, type Recipes } from "../../../runtime/observe/record/driven/drive.ts";
import { livesOf, openFolder } from "../../../runtime/observe/record/read-folder.ts";
import { openRecorder } from "../../../runtime/observe/record/recorder.ts";
import type { Outside } from "../../../runtime/outside.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { memoryFiles } from "../../sim/world/files.ts";
import { MemoryLog, testSystem } from "../../support/worlds/test-system.ts";

type Get = Ask<{ value: number }> & { readonly kind: "get" };

class Source extends Actor<Get> {
  override receive(): void {
    this.ctx.reply({ value: this.ctx.random.u32() });
  }
}

type Options = {
  readonly source: Ref<Get>;
  /** Not the actor's own, and another value at each call. */
  readonly next: () => number;
  readonly shelf: Shelf;
};

/** A class of somebody else. */
class Shelf {
  #count = 0;
  size = 3;
  take(): { readonly count: number } {
    this.#count++;
    return { count: this.#count };
  }
}

type Message =
  | { readonly kind: "draw" }
  | { readonly kind: "later"; readonly run: () => void }
  | { readonly kind: "asked" }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "watch"; readonly ref: Ref };

class Drawer extends Actor<Message> {
  readonly #options: Options;
  readonly #seen: unknown[] = [];
  protected readonly step: number = 1;
  #sum = 0;

  constructor(options: Options) {
    super();
    this.#options = options;
  }

  override init(): void {
    this.ctx.every(100, { kind: "draw" });
    this.#seen.push(this.#options.shelf.size);
  }

  override receive(message: Message): void {
    const { source, next, shelf } = this.#options;
    switch (message.kind) {
      case "draw": {
        const { clock, random } = this.ctx;
        this.#sum += this.step + random.unit() * next() + shelf.take().count + clock.now_ms();
        this.ctx.after(random.unit() * 50, {
          kind: "later",
          run: () => this.#seen.push(this.#sum),
        });
        break;
      }
      case "later":
        message.run();
        this.ctx.self.tell({ kind: "asked" });
        break;
      case "asked": {
        const options = { deadline_ms: 1_000 };
        this.ctx.askThen(
          source,
          { kind: "get" },
          options,
          (got) => this.#took(got.value),
          () => {},
        );
        void this.ctx.system.ask(source, { kind: "get" }, options).then(
          ({ value }) => this.#took(value),
          (error: Error) => this.#seen.push(error.message),
        );
        break;
      }
      case "bytes":
        this.#seen.push(message.bytes);
        break;
      case "watch":
        this.ctx.monitor(message.ref);
    }
  }

  #took(value: number): void {
    this.#sum += value % 97;
  }

  override down({ ref, reason }: Down): void {
    this.#seen.push(`${ref.address.path} ${reason.kind}`);
  }

  override inspect() {
    return { sum: this.#sum, seen: this.#seen as never };
  }
}

const drawer =
  (Kind: typeof Drawer) =>
  (outside: Outside, options = {} as Options): Drawer =>
    new Kind(outside.given("drawer", options));

const recipes: Recipes = { drawer: drawer(Drawer) };

async function recorded(files: Files, seed = 1): Promise<string> {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const world = { clock, random, files, log: new MemoryLog(), spawn: { pid: 7 } as Spawn };
  const recorder = await openRecorder(
    { folder: "/r", bytes_max: 2 ** 20, actors: "drawer", version: "1" },
    { node: "test", role: "test" },
    world as unknown as Capabilities,
  );
  const { system } = testSystem(seed, { recorder }, { clock: clock as Clock });
  clock.settle = () => system.idle();
  const source = system.spawn(() => new Source(), { name: "source" });
  let drawn = 0;
  const options = { source, next: () => ++drawn, shelf: new Shelf() };
  const make = drawer(Drawer);
  const ref = system.spawn((outside) => make(outside, options), { name: "d", role: "drawer" });
  for (let i = 0; i < 20; i++) {
    ref.tell({ kind: "bytes", bytes: Uint8Array.of(i) });
    if (i === 10) ref.tell({ kind: "watch", ref: source });
    if (i === 15) system.stop(source);
    await clock.advance(40 + 20 * random.unit());
  }
  const state = JSON.stringify(system.snapshot("/d"));
  await system.shutdown();
  await recorder.close();
  return state;
}

async function lifeIn(files: Files) {
  const [life] = await livesOf(await openFolder("/r", files), "test", "/d");
  return life!;
}

test.each([1, 2, 3])("it does and becomes the same, seed %d", async (seed) => {
  const files = memoryFiles(new Map());
  const state = await recorded(files, seed);
  const life = await lifeIn(files);
  const driven = drive(life, recipes);
  expect(driven.differs).toBeUndefined();
  expect(driven.equal_until).toBe(driven.turns - 1);
  expect(JSON.stringify(driven.state)).toBe(state);
  expect(state).toContain("/source shutdown");
});

test("it can be driven up to a turn, and each turn says what came and what it did", async () => {
  const files = memoryFiles(new Map());
  await recorded(files);
  const life = await lifeIn(files);
  const seen: string[] = [];
  const driven = drive(life, recipes, 4, ({ turn, kind, did }) => {
    seen.push([turn, kind, ...did.map((text) => text.split(" ")[0])].join(" "));
  });
  expect(driven.turns).toBe(5);
  expect(seen[0]).toBe("start start every");
  expect(seen[1]).toBe("message bytes");
  expect(seen).toContain("own draw drawer.next drawer.shelf.take after");
});

test("the first turn after which a changed actor differs is named", async () => {
  const files = memoryFiles(new Map());
  await recorded(files);
  const life = await lifeIn(files);
  const differs = (Kind: typeof Drawer) => drive(life, { drawer: drawer(Kind) }).differs;
  class OtherStep extends Drawer {
    protected override readonly step = 2;
  }
  expect(differs(OtherStep)).toMatchObject({ turn: "own", kind: "draw" });
  expect(differs(OtherStep)?.differs).toStartWith("its state is another one");
  class ReadsMore extends Drawer {
    override receive(message: Message): void {
      if (message.kind === "asked") this.ctx.clock.now_ms();
      super.receive(message);
    }
  }
  expect(differs(ReadsMore)?.kind).toBe("asked");
  expect(differs(ReadsMore)?.differs).toContain("asks for");
  class DoesLess extends Drawer {
    override receive(message: Message): void {
      if (message.kind !== "watch") super.receive(message);
    }
  }
  expect(differs(DoesLess)?.kind).toBe("watch");
  class Throws extends Drawer {
    override down(): void {
      throw new Error("not handled");
    }
  }
  expect(differs(Throws)).toMatchObject({ turn: "down", differs: "it throws now: not handled" });
});

test("what cannot be driven says why", async () => {
  const files = memoryFiles(new Map());
  await recorded(files);
  const life = await lifeIn(files);
  expect(() => drive(life, {})).toThrow('this program has no recipe "drawer"');
  const later = { ...life, turns: life.turns.slice(3) };
  expect(() => drive(later, recipes)).toThrow("its beginning is not in the recording any more");
  const [first, ...others] = life.turns;
  const waits = {
    ...life,
    turns: [{ ...first!, gap: "its handlers wait for promises" }, ...others],
  };
  expect(() => drive(waits, recipes)).toThrow("its handlers wait for promises");
});
