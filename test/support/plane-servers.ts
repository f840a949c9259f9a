/**
 * A real nats-server or redis-server of this test's own: on a free loopback port, stopped by its pid,
 * and started again on the same port.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ServerName = "nats-server" | "redis-server";

export type PlaneServer = {
  readonly port: number;
  /** Without user and password. */
  readonly url: string;
  readonly pid: number;
  kill(signal?: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** SIGKILL, and waits for its end. */
  stop(): Promise<void>;
  /** After `stop`, on the same port. */
  start(): Promise<void>;
};

const running = new Set<PlaneServer>();

export const natsServer = (args: readonly string[] = [], host = "127.0.0.1") =>
  startServer("nats-server", host, (port) => [
    "nats-server",
    "--addr",
    host,
    "--port",
    `${port}`,
    ...args,
  ]);

/** Nothing is written to disk: a restart forgets everything. */
export const redisServer = (args: readonly string[] = [], host = "127.0.0.1", tls = false) =>
  startServer("redis-server", host, (port) => [
    "redis-server",
    ...["--bind", host, "--save", "", "--appendonly", "no"],
    ...(tls ? ["--port", "0", "--tls-port", `${port}`] : ["--port", `${port}`]),
    ...args,
  ]);

/** After each test file: nothing of ours goes on. */
export async function stopServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.stop()));
}

async function startServer(
  name: ServerName,
  host: string,
  command: (port: number) => readonly string[],
): Promise<PlaneServer> {
  const port = freePort(host);
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  let child: Bun.Subprocess | undefined;
  const start = async (): Promise<void> => {
    child = Bun.spawn([...command(port)], { cwd: folder, stdout: "ignore", stderr: "ignore" });
    for (let tries = 0; tries < 500; tries++) {
      if (await answers(host, port)) return;
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
      await Bun.sleep(10);
    }
    throw new Error(`${name} does not listen on port ${port}`);
  };
  await start();
  const server: PlaneServer = {
    port,
    url: `${name === "nats-server" ? "nats" : "redis"}://${host}:${port}`,
    get pid() {
      return child?.pid ?? 0;
    },
    kill: (signal = "SIGKILL") => child?.kill(signal),
    stop: async () => {
      child?.kill("SIGKILL");
      await child?.exited;
    },
    start: async () => {
      await start();
      running.add(server);
    },
  };
  running.add(server);
  const stop = server.stop;
  process.once("exit", () => {
    child?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return Object.assign(server, {
    stop: async () => {
      running.delete(server);
      await stop();
    },
  });
}

export function freePort(hostname: string): number {
  const listener = Bun.listen({ hostname, port: 0, socket: { data: () => {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

async function answers(hostname: string, port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname, port, socket: { data: () => {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}
