/**
 * A folder for the sockets of one run of a cluster, `troupe-UID-PID-XXXXXX`, mode 700.
 *
 * A root holds a socket in its folder for as long as it lives, and the kernel lets go of it however
 * the root ends. So a folder whose socket does not answer is left over. This holds for roots of
 * other PID namespaces too, as for containers with one /tmp.
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { unixPathBytesMax } from "./unix-path.ts";

/** Nowhere is room for sockets; the message is one line that says what to do. */
export class RunFolderError extends Error {
  readonly code = "no_run_folder";
}

type RunFolder = {
  readonly path: string;
  /** Why it is not below TMPDIR, for a person; undefined: it is. */
  readonly warning: string | undefined;
};

const ALIVE = "alive.sock";
/** `/worker-65535-4194304.sock` is the longest name that a process gives its socket. */
const NAME_BYTES_MAX = 32;
const LOOK_MS = 500;
const noHandlers = { data() {} };

/** Makes a folder, and removes those of killed roots. Rejects with RunFolderError. */
export async function newRunFolder(bases: readonly string[] = folders()): Promise<RunFolder> {
  const wrong: string[] = [];
  for (const base of bases) {
    try {
      await removeLeftOver(base);
      const path = makeIn(base);
      const warning = wrong[0] && `${wrong[0]}: this run's sockets lie in ${base} instead`;
      return { path, warning };
    } catch (error) {
      wrong.push(whyNot(base, error));
    }
  }
  throw new RunFolderError(
    `there is no folder for this run's sockets (${wrong.join("; ")}): ` +
      "set TMPDIR to a folder with a short path that this user can write to",
  );
}

/** An empty name, from before there was one, is ignored. */
export function removeRunFolder(path: string): void {
  if (path !== "") rmSync(path, { recursive: true, force: true });
}

/** TMPDIR's first; then what is usually there, also where the file system is read-only. */
function folders(): readonly string[] {
  const { XDG_RUNTIME_DIR } = process.env;
  const given = [tmpdir(), ...(XDG_RUNTIME_DIR ? [XDG_RUNTIME_DIR] : [])];
  const usual = process.platform === "linux" ? ["/tmp", "/dev/shm"] : ["/tmp"];
  return [...new Set([...given, ...usual].map((path) => resolve(path)))];
}

function makeIn(base: string): string {
  const stem = join(base, `${prefixOfUser()}${process.pid}-`);
  const bytes = Buffer.byteLength(stem) + "XXXXXX".length + NAME_BYTES_MAX;
  if (bytes > unixPathBytesMax) throw new Error("its path is too long for sockets");
  const path = mkdtempSync(stem);
  try {
    // The kernel closes this socket with the process; until then it shows that the root lives.
    Bun.listen({ unix: join(path, ALIVE), socket: noHandlers }).unref();
  } catch (error) {
    rmSync(path, { recursive: true, force: true });
    throw error;
  }
  return path;
}

const prefixOfUser = () => `troupe-${process.getuid?.() ?? 0}-`;

/** Removes folders of ended roots. A folder that cannot be read or removed is left alone. */
async function removeLeftOver(base: string): Promise<void> {
  const ours = new RegExp(`^${prefixOfUser()}\\d+-\\w{6}$`);
  const found = readdirSync(base).filter((name) => ours.test(name));
  await Promise.all(
    found.map(async (name) => {
      const path = join(base, name);
      try {
        const stat = lstatSync(path);
        const mine = stat.isDirectory() && stat.uid === (process.getuid?.() ?? stat.uid);
        if (mine && (await isDeserted(path))) rmSync(path, { recursive: true, force: true });
      } catch {
        // Another root took it away first, or it may not be removed.
      }
    }),
  );
}

/** True: the socket is there and no process holds it. A missing one may be about to come. */
async function isDeserted(path: string): Promise<boolean> {
  if (!statSync(join(path, ALIVE)).isSocket()) return false;
  const late = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), LOOK_MS).unref();
  });
  const answer = Bun.connect({ unix: join(path, ALIVE), socket: noHandlers }).then(
    (socket) => {
      socket.end();
      return false;
    },
    (error: unknown) => (error as { code?: string }).code === "ECONNREFUSED",
  );
  return await Promise.race([answer, late]);
}

function whyNot(base: string, error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  const known: Readonly<Record<string, string>> = {
    ENOENT: "does not exist",
    ENOTDIR: "is not a folder",
    EACCES: "is not writable for this user",
    EPERM: "is not writable for this user",
    EROFS: "is read-only",
    ENOSPC: "is full",
    ENAMETOOLONG: "has too long a path",
  };
  return `${base} ${known[code ?? ""] ?? `cannot be used (${message})`}`;
}
