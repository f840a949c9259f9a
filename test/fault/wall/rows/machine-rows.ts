/** The machine below fails: memory, disk, clock. */
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alive, clusterCommand, until } from "../../../support/cluster.ts";
import type { Row } from "../row.ts";
import { midway, somePid, underFault } from "../scenario.ts";

const memoryGroups = "/sys/fs/cgroup/memory";
const fakeTime = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
].find(existsSync);

function removed(group: string): boolean {
  try {
    rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}

function lacksRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "it needs root";
}

export const machineRows: readonly Row[] = [
  {
    name: "memory",
    what: "a worker gets no more memory from the kernel and is killed by it",
    engines: ["mocker"],
    lacks: () => {
      if (!existsSync(`${memoryGroups}/memory.limit_in_bytes`)) return "no memory control groups";
      return lacksRoot();
    },
    run: (world) => {
      const group = join(memoryGroups, `troupe-prove-${process.pid}`);
      return underFault(world, {
        args: ["--workers", "2"],
        speedup: 4,
        flock: { requests: 400, concurrency: 64, tokens: 256, logprobs: true },
        fault: async (running) => {
          await midway(running, 20, 0.5);
          const pid = await somePid(running, "worker");
          mkdirSync(group);
          try {
            // What it has stays; only new pages are counted here.
            writeFileSync(join(group, "memory.limit_in_bytes"), String(256 * 1024));
            writeFileSync(join(group, "cgroup.procs"), String(pid));
            const limited_ms = performance.now();
            await until("the kernel to kill it", 30_000, () => !alive(pid));
            return { killed_after_ms: performance.now() - limited_ms };
          } finally {
            // The kernel lets go of a group some time after its last process ended.
            await until("the group to be removed", 10_000, () => removed(group));
          }
        },
      });
    },
  },
  {
    name: "disk-full",
    what: "the disk of logs, sockets and temporary files is full",
    engines: ["mocker"],
    lacks: lacksRoot,
    run: async (world) => {
      const disk = mkdtempSync(join(tmpdir(), "tp-"));
      const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk]);
      if (!mounted.success) throw new Error(`cannot mount a small disk: ${mounted.stderr}`);
      const command = clusterCommand().map((part) => `'${part}'`);
      try {
        return await underFault(world, {
          command: ["sh", "-c", `exec ${command.join(" ")} "$@" 2>${disk}/log`, "cluster"],
          args: ["--workers", "2", "--log-level", "debug"],
          env: { TMPDIR: disk },
          flock: { requests: 80, concurrency: 20, tokens: 96 },
          fault: async (running) => {
            await midway(running, 20, 0.5);
            Bun.spawnSync(["sh", "-c", `cat /dev/zero > ${disk}/fill 2>/dev/null`]);
            // A worker has to start with the disk full.
            process.kill(await somePid(running, "worker"), "SIGKILL");
            return {};
          },
        });
      } finally {
        Bun.spawnSync(["umount", "-l", disk]);
        rmSync(disk, { recursive: true, force: true });
      }
    },
  },
  {
    name: "clock-jump",
    what: "the wall clock jumps an hour on and two hours back",
    engines: ["mocker"],
    lacks: () => (fakeTime === undefined ? "it needs libfaketime" : undefined),
    run: async (world) => {
      const folder = mkdtempSync(join(tmpdir(), "tp-"));
      const offset = join(folder, "offset");
      writeFileSync(offset, "+0");
      try {
        return await underFault(world, {
          args: ["--workers", "2"],
          env: {
            LD_PRELOAD: fakeTime ?? "",
            FAKETIME_TIMESTAMP_FILE: offset,
            FAKETIME_NO_CACHE: "1",
            FAKETIME_DONT_FAKE_MONOTONIC: "1",
          },
          flock: { requests: 120, concurrency: 20, tokens: 128 },
          fault: async (running) => {
            await midway(running, 20, 0.5);
            writeFileSync(offset, "+3600s");
            await Bun.sleep(1_000);
            process.kill(await somePid(running, "worker"), "SIGKILL");
            await Bun.sleep(1_000);
            writeFileSync(offset, "-3600s");
            await Bun.sleep(1_000);
            process.kill(await somePid(running, "worker"), "SIGKILL");
            return {};
          },
        });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  },
];
