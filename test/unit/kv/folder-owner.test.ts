/** Two clusters on one folder of blocks: one has it, and nobody removes what the other uses. */
import { expect, test } from "bun:test";
import { DiskSpaces } from "../../../actors/kv/disk/disk-spaces.ts";
import { FolderInUseError, FolderOwner, liveClaim } from "../../../actors/kv/disk/folder-owner.ts";
import { BlockRoom } from "../../../actors/kv/keeper/room.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { memoryFiles } from "../../sim/world/files.ts";
import { BLOCK } from "../../support/kv/kept-blocks.ts";
import { MemoryFiles } from "../../support/kv/memory-files.ts";
import { absent, MemoryLog } from "../../support/worlds/test-system.ts";

const FOLDER = "/kv/0123456789abcdef0123456789abcdef";

function machine() {
  const clock = new VirtualClock();
  const memory = memoryFiles(new Map());
  const files = { ...memory, list: (path: string) => memory.list(path).catch(() => []) };
  const dead = new Set<number>();
  const log = new MemoryLog();
  /** Clocks of processes stand still when they are frozen or dead. */
  const process = (pid: number) => {
    let runs = true;
    const own = {
      now_ms: () => clock.now_ms(),
      wall_ms: () => clock.now_ms(),
      after: (ms: number, run: () => void) => clock.after(ms, () => void (runs && run())),
      defer: (run: () => void) => clock.defer(run),
      cancel: (timer: Parameters<typeof clock.cancel>[0]) => clock.cancel(timer),
    };
    const isAlive = (other: number) => !dead.has(other);
    const spawn = { start: absent<() => never>("start"), self: [], pid, isAlive };
    const world = {
      ...{ files, log, clock: own, random: new SeededRandom(pid) },
      spawn: { ...spawn, resident_bytes: () => 0 },
    };
    const freeze = () => {
      runs = false;
    };
    const kill = () => {
      runs = false;
      dead.add(pid);
    };
    const thaw = () => {
      runs = true;
    };
    return { world, freeze, kill, thaw };
  };
  /** What a promise came to, after some time. */
  const within = async <T>(ms: number, made: Promise<T>) => {
    let out: T | Error | undefined;
    made.then(
      (value) => {
        out = value;
      },
      (error: Error) => {
        out = error;
      },
    );
    await clock.advance(ms);
    return out;
  };
  return { clock, files, log, process, within };
}

test("one keeper at a time has a folder; the next one has it at once when it was given back", async () => {
  const { process, within } = machine();
  const [a, b] = [process(10), process(11)];
  const first = await within(
    300,
    FolderOwner.take(a.world, FOLDER, "a", () => {}),
  );
  expect(first).toBeInstanceOf(FolderOwner);
  const second = await within(
    3_000,
    FolderOwner.take(b.world, FOLDER, "b", () => {}),
  );
  expect(second).toBeInstanceOf(FolderInUseError);
  expect((second as Error).message).toMatch(/process 10\): give this one another --kv-disk-dir/);
  await (first as FolderOwner).close();
  const third = await within(
    300,
    FolderOwner.take(b.world, FOLDER, "b", () => {}),
  );
  expect(third).toBeInstanceOf(FolderOwner);
});

test("one that was killed is followed soon, one that hangs later, and hears that it was", async () => {
  const { process, within, clock } = machine();
  const [a, b, c] = [process(10), process(11), process(12)];
  await within(
    300,
    FolderOwner.take(a.world, FOLDER, "a", () => {}),
  );
  a.kill();
  let lost = 0;
  const next = FolderOwner.take(b.world, FOLDER, "b", () => {
    lost += 1;
  });
  expect(await within(1_000, next)).toBeUndefined();
  expect(await within(1_000, next)).toBeInstanceOf(FolderOwner);
  b.freeze();
  const last = FolderOwner.take(c.world, FOLDER, "c", () => {});
  expect(await within(12_000, last)).toBeUndefined();
  expect(await within(5_000, last)).toBeInstanceOf(FolderOwner);
  expect(lost).toBe(0);
  b.thaw();
  const again = FolderOwner.take(b.world, FOLDER, "b", () => {});
  expect(await within(3_000, again)).toBeInstanceOf(FolderInUseError);
  expect(await within(3_000, liveClaim(process(13).world, FOLDER))).toMatchObject({ own: "c" });
  expect(clock.now_ms()).toBeGreaterThan(0);
});

test("a process of another container with the same number is another one", async () => {
  const { process, within } = machine();
  const [a, b] = [process(7), process(7)];
  await within(
    300,
    FolderOwner.take(a.world, FOLDER, "a", () => {}),
  );
  const second = await within(
    3_000,
    FolderOwner.take(b.world, FOLDER, "b", () => {}),
  );
  expect(second).toBeInstanceOf(FolderInUseError);
});

test("files of a model that another live cluster serves stay, those of a dead one give way", async () => {
  const { process, within, clock, files } = machine();
  const spaces = (pid: number) => {
    const { world, kill } = process(pid);
    const disks = new DiskSpaces({ folder: "/kv", bytes: 4 * 2 * BLOCK }, 1, world);
    const open = (identity: string) => {
      const memory = new Uint8Array(16 * BLOCK);
      const view = (at: number, bytes: number) => memory.subarray(at, at + bytes);
      const host = {
        ...{ room: new BlockRoom(16), files: new MemoryFiles(clock, view), identity },
        shape: { block_bytes: BLOCK, slot_bytes: BLOCK, base: 0 },
        ...{ arrived: () => {}, changed: () => {}, counted: () => {} },
      };
      return disks.open(host, () => {}).then(({ listed }) => listed);
    };
    return { open, kill, close: () => disks.close() };
  };
  const put = async (identity: string, count: number) => {
    for (let i = 0; i < count; i++) {
      const name = `0${i}`.padEnd(16, "0");
      await files.write(`/kv/${identity}/0${i}/${name}`, new Uint8Array(2 * BLOCK));
    }
  };
  const [model_a, model_b] = ["a".repeat(32), "b".repeat(32)];
  const filesOf = async (identity: string) =>
    (
      await Promise.all(Array.from({ length: 8 }, (_, i) => files.list(`/kv/${identity}/0${i}`)))
    ).flat().length;
  await put(model_a, 4);
  await put(model_b, 4);
  const [one, two] = [spaces(10), spaces(11)];
  await within(
    5_000,
    one.open(model_a).catch(() => {}),
  );
  // Nobody serves the other model: both are more than there is room for.
  expect([await filesOf(model_a), await filesOf(model_b)]).toEqual([4, 0]);
  await put(model_b, 4);
  await within(5_000, two.open(model_b));
  expect([await filesOf(model_a), await filesOf(model_b)]).toEqual([4, 4]);
  expect(await within(5_000, two.open(model_a))).toBeInstanceOf(FolderInUseError);
  one.kill();
  await two.close();
  const three = spaces(12);
  await within(8_000, three.open(model_b));
  expect([await filesOf(model_a), await filesOf(model_b)]).toEqual([0, 4]);
});

test("a keeper that closes while its beat is written leaves no claim", async () => {
  const { clock, files, process, within } = machine();
  const { world } = process(10);
  let written = () => {};
  const slow = {
    ...files,
    write: async (path: string, bytes: Uint8Array) => {
      if (clock.now_ms() >= 1_000) await new Promise<void>((resolve) => (written = resolve));
      await files.write(path, bytes);
    },
  };
  const taking = FolderOwner.take({ ...world, files: slow }, FOLDER, "a", () => {});
  const owner = (await within(300, taking)) as FolderOwner;
  await clock.advance(1_000);
  const closing = owner.close();
  await clock.advance(10);
  written();
  await closing;
  expect(await liveClaim(process(11).world, FOLDER)).toBeUndefined();
  expect(await files.read(`${FOLDER}/keeper`).catch(() => "none")).toBe("none");
});
