/** Processes of peers: started on loopback, found ready over HTTP, ended by their own pid. */
import { openSync } from "node:fs";
import { createServer } from "node:net";

export type PeerProcess = {
  readonly pid: number;
  /** Ends the process and what it started (its process group); waits until it has gone. */
  stop(): Promise<void>;
  readonly exited: Promise<number>;
};

/** Output goes to `log_file`; the child leads a group of its own so that it ends whole. */
export function startPeer(
  command: readonly string[],
  options: { readonly env?: Record<string, string>; readonly log_file: string },
): PeerProcess {
  const log = openSync(options.log_file, "a");
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: log,
    stderr: log,
    detached: true,
  });
  const signal = (name: "SIGTERM" | "SIGKILL") => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // It has already gone.
    }
  };
  // An interrupted run must leave nothing behind.
  const onExit = () => signal("SIGKILL");
  process.once("exit", onExit);
  return {
    pid: child.pid,
    exited: child.exited,
    async stop() {
      signal("SIGTERM");
      const slow = setTimeout(() => signal("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(slow);
      signal("SIGKILL");
      process.off("exit", onExit);
    },
  };
}

/** Waits until `ready` says yes; fails at once when the process ends. */
export async function untilReady(
  name: string,
  peers: readonly PeerProcess[],
  ready: () => Promise<boolean>,
  timeout_ms: number,
  log_file: string,
): Promise<void> {
  let ended = false;
  for (const peer of peers) {
    void peer.exited.then(() => {
      ended = true;
    });
  }
  const deadline_ms = performance.now() + timeout_ms;
  while (!(await ready().catch(() => false))) {
    if (ended || performance.now() > deadline_ms) {
      for (const peer of peers) await peer.stop();
      const log = await Bun.file(log_file).text();
      throw new Error(`${name} did not get ready: ${log.slice(-2000)}`);
    }
    await Bun.sleep(200);
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === "object"
          ? resolve(address.port)
          : reject(new Error("no port")),
      );
    });
  });
}

/** Runs a command to its end; throws with the end of its output when it fails. */
export async function runToEnd(
  command: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Record<string, string>;
    readonly timeout_ms: number;
  },
): Promise<string> {
  const child = Bun.spawn([...command], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeout_ms,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) {
    throw new Error(`${command.join(" ")} failed:\n${(stdout + stderr).slice(-2000)}`);
  }
  return stdout;
}
