/** Real OS processes. A child dies with its parent, however that one ends. */

import { readFileSync } from "node:fs";
import type { ChildProcess, Spawn, SpawnOptions } from "../capabilities.ts";
import { errorText } from "../error-text.ts";

class SpawnError extends Error {
  readonly code = "cannot_start";
}

/**
 * `bun --no-orphans` as an environment variable, so that it holds for compiled binaries as well:
 * the child watches its parent and takes its own descendants along.
 */
const noOrphans = { BUN_FEATURE_FLAG_NO_ORPHANS: "1" };

export function realSpawn(): Spawn {
  return {
    start,
    self: isCompiled() ? [process.execPath] : [process.execPath, Bun.main],
    pid: process.pid,
    isAlive,
    resident_bytes: () => process.memoryUsage.rss(),
  };
}

/** True in a compiled binary, which carries its sources. */
export function isCompiled(): boolean {
  return Bun.main.startsWith("/$bunfs/") || Bun.main.startsWith("B:/~BUN/");
}

function start(options: SpawnOptions): ChildProcess {
  const { command, env, cwd, onStdout, onStderr, onExit } = options;
  try {
    const child = Bun.spawn({
      cmd: [...command],
      env: { ...process.env, ...noOrphans, ...env },
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "ignore",
      stdout: onStdout === undefined ? "ignore" : "pipe",
      stderr: onStderr === undefined ? "ignore" : "pipe",
      onExit: (_child, code, signal) => onExit({ code, signal: signalName(signal) }),
    });
    if (onStdout !== undefined) void pass(child.stdout, onStdout);
    if (onStderr !== undefined) void pass(child.stderr, onStderr);
    return {
      pid: child.pid,
      kill: (signal) => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      },
      stopped: () => isStopped(child.pid),
    };
  } catch (error) {
    const why = errorText(error);
    throw new SpawnError(`cannot start "${command.join(" ")}": ${why}`);
  }
}

/** Linux says so in a file, whose second field is the program's name in brackets. */
function isStopped(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [Tt] /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/** A process that has ended and waits to be asked about does nothing any more. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    // Where there is no such file; or it has ended just now, which the next look finds.
    return true;
  }
}

async function pass(
  stream: ReadableStream<Uint8Array> | undefined,
  to: (bytes: Uint8Array) => void,
): Promise<void> {
  if (stream === undefined) return;
  try {
    for await (const bytes of stream) to(bytes);
  } catch {
    // The pipe broke with its process; onExit tells of that.
  }
}

const signalNames: ReadonlyMap<number, string> = new Map([
  [2, "SIGINT"],
  [6, "SIGABRT"],
  [9, "SIGKILL"],
  [11, "SIGSEGV"],
  [15, "SIGTERM"],
]);

function signalName(signal: number | string | null | undefined): string | null {
  if (signal === null || signal === undefined) return null;
  return typeof signal === "string" ? signal : (signalNames.get(signal) ?? `signal ${signal}`);
}
