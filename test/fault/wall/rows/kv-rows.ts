/**
 * Blocks beyond their engines: who keeps them dies, and their disk is full, hangs, or gives back
 * something else. What cannot be trusted is computed again, and no answer is another one.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alive, type Cluster, pidsOf, until } from "../../../support/cluster.ts";
import { lacksProgram } from "../../../support/needs.ts";
import type { EngineName } from "../references.ts";
import type { Figures, Row, RowResult, World } from "../row.ts";
import { type Running, type Scenario, sumOfMetric, underFault } from "../scenario.ts";

const engines = ["mocker", "llama"] as const;
/** So small that the prompts of the flock do not all stay in it. */
const smallCache: Readonly<Record<EngineName, readonly string[]>> = {
  mocker: ["--num-blocks", "64"],
  llama: ["--kv-tokens", "4096"],
};
const PROMPTS = 24;
/** A real model's logits differ in their last bits between batches, and a few answers too. */
const SAME_LEAST = 0.9;
const WITHIN_MS = 60_000;

type Disk = Readonly<
  Record<"stored" | "loaded" | "full" | "failed" | "torn" | "foreign" | "corrupt", number>
>;
type Space = { readonly unaccounted: number; readonly disk?: Disk };

/** Undefined while there is no keeper. */
async function spaceOf(cluster: Cluster): Promise<Space | undefined> {
  const path = `/api/actors/${encodeURIComponent("kv/kv/keeper")}/snapshot`;
  const response = await fetch(cluster.inspector + path).catch(() => undefined);
  if (response?.status !== 200) return undefined;
  const { snapshot } = (await response.json()) as { snapshot?: { spaces?: readonly Space[] } };
  return snapshot?.spaces?.[0];
}

const diskOf = async (cluster: Cluster) => (await spaceOf(cluster))?.disk;
const onboarded = ({ cluster }: Running) => sumOfMetric(cluster, /^kvbm_onboard_blocks_h2d\b/);

/** Clients ask for a few prompts again and again, until the fault is over. */
async function withTiers(
  world: World,
  more: readonly string[],
  fault: (running: Running) => Promise<Figures>,
): Promise<RowResult> {
  const scenario: Scenario = {
    args: [
      ...["--workers", "2", "--router-mode", "round-robin", "--kv-host-bytes", "64MB"],
      ...smallCache[world.engine],
      ...more,
    ],
    flock: {
      ...{ requests: 100_000, concurrency: 4, tokens: 24 },
      ...{ prompt_words: 200, prompts: PROMPTS, seeds: PROMPTS, logprobs: false },
    },
    fault: async (running) => {
      const figures = await fault(running);
      running.flock.stopping = true;
      return { ...figures, onboarded_blocks: await onboarded(running) };
    },
    after: async ({ cluster }) => {
      const unaccounted = (await spaceOf(cluster))?.unaccounted;
      return unaccounted === 0 ? [] : [`slots that nobody knows of: ${unaccounted}`];
    },
  };
  const result = await underFault(world, scenario);
  const { same, complete, problems } = result;
  if (same >= SAME_LEAST * complete) return result;
  const text = `only ${same} of ${complete} answers have the bytes of the undisturbed ones`;
  return { ...result, problems: [...problems, text] };
}

async function signalKeeper(cluster: Cluster, signal: "SIGKILL" | "SIGSTOP"): Promise<number> {
  const [pid] = await pidsOf(cluster, "kv");
  if (pid === undefined) throw new Error("there is no keeper");
  process.kill(pid, signal);
  return pid;
}

/** Ends the keeper; resolves when the next one stands. */
async function killKeeper({ cluster }: Running): Promise<void> {
  await nextKeeper(cluster, await signalKeeper(cluster, "SIGKILL"));
}

/** Changes files while the keeper stands still, and loses its memory. */
async function behindKeeper({ cluster }: Running, change: () => void): Promise<void> {
  const pid = await signalKeeper(cluster, "SIGSTOP");
  change();
  // A keeper that was silent for too long is killed by its supervisor.
  if (alive(pid)) process.kill(pid, "SIGKILL");
  await nextKeeper(cluster, pid);
}

async function nextKeeper(cluster: Cluster, pid: number): Promise<void> {
  await until("another keeper", WITHIN_MS, async () => {
    const [next] = await pidsOf(cluster, "kv");
    return next !== undefined && next !== pid && (await spaceOf(cluster)) !== undefined;
  });
}

async function moreAnswers({ flock }: Running, count: number): Promise<void> {
  const wanted = flock.finished + count;
  await until(`${count} more answers`, WITHIN_MS, () => flock.finished >= wanted);
}

async function moreOnboarded(running: Running, blocks: number): Promise<void> {
  const wanted = (await onboarded(running)) + blocks;
  const there = async () => (await onboarded(running)) >= wanted;
  await until(`${blocks} more blocks from beyond the engines`, WITHIN_MS, there);
}

async function untilDisk({ cluster }: Running, what: string, is: (disk: Disk) => boolean) {
  let last: Disk | undefined;
  const seen = async () => {
    last = await diskOf(cluster);
    return last !== undefined && is(last);
  };
  await until(what, WITHIN_MS, seen).catch((error: unknown) => {
    throw new Error(`${error}; the disk says ${JSON.stringify(last)}`);
  });
}

/**
 * Kills the keeper at one place of the cycle of prompts after another. A block comes from the disk
 * only if its prompt is asked for while neither an engine nor the new keeper's memory has it.
 */
async function killedUntilDisk(running: Running, what: string, is: (disk: Disk) => boolean) {
  const ends_ms = performance.now() + WITHIN_MS;
  for (;;) {
    await killKeeper(running);
    await moreAnswers(running, 1.2 * PROMPTS);
    const disk = await diskOf(running.cluster);
    if (disk !== undefined && is(disk)) return;
    if (performance.now() > ends_ms) {
      throw new Error(`waited ${WITHIN_MS} ms for ${what}; the disk says ${JSON.stringify(disk)}`);
    }
  }
}

/** Paths of blocks' files. */
function blockFiles(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true }) as string[];
  return names.filter((name) => /\/[0-9a-f]{16}$/.test(name)).map((name) => join(folder, name));
}

async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "tp-kv-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const onDisk = (folder: string) => ["--kv-disk-bytes", "256MB", "--kv-disk-dir", folder];

/** Every file is spoiled while nobody reads; then the memory before them is lost. */
const withSpoiltFiles = (
  world: World,
  spoil: (paths: readonly string[]) => void,
  seen: (disk: Disk) => number,
) =>
  withFolder((folder) =>
    withTiers(world, onDisk(folder), async (running) => {
      await moreAnswers(running, 2 * PROMPTS);
      await untilDisk(running, "blocks on disk", ({ stored }) => stored >= 4 * PROMPTS);
      const paths = blockFiles(folder);
      await behindKeeper(running, () => spoil(paths));
      await untilDisk(running, "files that are not trusted", (disk) => seen(disk) > 0);
      await moreAnswers(running, 2 * PROMPTS);
      // What is computed again is kept again.
      await untilDisk(running, "new blocks on disk", ({ stored }) => stored > 0);
      const disk = await diskOf(running.cluster);
      return { spoilt_files: paths.length, not_trusted_files: disk === undefined ? 0 : seen(disk) };
    }),
  );

export const kvRows: readonly Row[] = [
  {
    name: "kv-keeper",
    what: "kill -9 the keeper of blocks, 3 times while workers read and write its memory",
    engines,
    run: (world) =>
      withTiers(world, [], async (running) => {
        await moreOnboarded(running, 20);
        for (let round = 0; round < 3; round++) {
          await killKeeper(running);
          await moreOnboarded(running, 20);
        }
        return {};
      }),
  },
  {
    name: "kv-disk-full",
    what: "the disk of blocks is full, and has room again later",
    engines,
    lacks: () => (process.getuid?.() === 0 ? lacksProgram("mount") : "it needs root"),
    run: (world) =>
      withFolder(async (folder) => {
        const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder]);
        if (!mounted.success) throw new Error(`cannot mount a small disk: ${mounted.stderr}`);
        try {
          return await withTiers(world, onDisk(folder), async (running) => {
            await untilDisk(running, "a full disk", ({ full }) => full > 0);
            // The prompts whose blocks are there were the first: engines must not have them now.
            await moreAnswers(running, 2.5 * PROMPTS);
            const files = blockFiles(folder).length;
            Bun.spawnSync(["mount", "-o", "remount,size=64m", folder]);
            const goesOn = (disk: Disk) => disk.stored > 0 && disk.loaded > 0;
            const what = "blocks that go there and come from there";
            await killedUntilDisk(running, what, goesOn);
            return { files_when_full: files };
          });
        } finally {
          Bun.spawnSync(["umount", "-l", folder]);
        }
      }),
  },
  {
    name: "kv-disk-slow",
    what: "reads from the disk of blocks hang for 3 s and then fail",
    engines,
    lacks: () => lacksProgram("mkfifo"),
    run: (world) =>
      withFolder((folder) =>
        withTiers(world, onDisk(folder), async (running) => {
          await moreAnswers(running, 2 * PROMPTS);
          await untilDisk(running, "blocks on disk", ({ stored }) => stored >= 4 * PROMPTS);
          // Who opens one of these to read waits until somebody writes.
          const paths = blockFiles(folder);
          await behindKeeper(running, () => {
            for (const path of paths) rmSync(path);
            Bun.spawnSync(["mkfifo", ...paths]);
          });
          const since = running.flock.finished;
          const held_ms = performance.now() + 3_000;
          await until("3 s", WITHIN_MS, () => performance.now() >= held_ms);
          const answered = running.flock.finished - since;
          if (answered === 0) throw new Error("no answer came while the disk hung");
          const open = paths.map((path) => openSync(path, constants.O_RDWR));
          try {
            await untilDisk(running, "reads that failed", ({ failed }) => failed > 0);
            await moreAnswers(running, 2 * PROMPTS);
          } finally {
            for (const file of open) closeSync(file);
          }
          for (const path of paths) rmSync(path, { force: true });
          await moreAnswers(running, 2 * PROMPTS);
          return { answers_while_it_hung: answered };
        }),
      ),
  },
  {
    name: "kv-flipped",
    what: "a bit is flipped in every file of blocks, and the memory before them is lost",
    engines,
    run: (world) =>
      withSpoiltFiles(
        world,
        (paths) => {
          for (const [i, path] of paths.entries()) {
            const file = readFileSync(path);
            // In the header, or in the block behind its page.
            const at = i % 2 === 0 ? (i * 5) % 56 : 4096 + ((i * 7) % 64);
            file[at]! ^= 1 << (i % 8);
            writeFileSync(path, file);
          }
        },
        ({ torn, foreign, corrupt }) => torn + foreign + corrupt,
      ),
  },
  {
    name: "kv-torn",
    what: "every file of blocks is cut short, and the memory before them is lost",
    engines,
    run: (world) =>
      withSpoiltFiles(
        world,
        (paths) => {
          for (const [i, path] of paths.entries()) {
            truncateSync(path, [0, 47, 4096, readFileSync(path).length - 1][i % 4]);
          }
        },
        ({ torn }) => torn,
      ),
  },
  {
    name: "kv-foreign",
    what: "every file of blocks is another block's or no block, and the memory before them is lost",
    engines,
    run: (world) =>
      withSpoiltFiles(
        world,
        (paths) => {
          const [first] = paths;
          for (const [i, path] of paths.entries()) {
            if (i % 2 === 0) writeFileSync(path, new Uint8Array(20_000).fill(i));
            else copyFileSync(first!, path);
          }
        },
        ({ foreign }) => foreign,
      ),
  },
];
