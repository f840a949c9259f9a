/** A folder for the sockets of one run of a cluster. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Mode 700. Those of roots that were killed are taken away first. */
export function newRunFolder(): string {
  const prefix = `troupe-${process.getuid?.() ?? 0}-`;
  for (const name of readdirSync(tmpdir()).filter((item) => item.startsWith(prefix))) {
    const pid = Number(name.slice(prefix.length).split("-")[0]);
    if (!isAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
}

/** An empty name, from before there was one, is ignored. */
export function removeRunFolder(path: string): void {
  if (path !== "") rmSync(path, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
