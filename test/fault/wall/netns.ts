/**
 * A network namespace joined to this machine's by a pair of virtual links: another machine, as far
 * as its processes can tell. Needs root and `ip`; always removed again.
 */
import { existsSync } from "node:fs";

export type Namespace = AsyncDisposable & {
  /** Of this machine, seen from inside. */
  readonly host_address: string;
  /** Of the namespace, seen from here. */
  readonly address: string;
  spawn(command: readonly string[], env?: Readonly<Record<string, string>>): NamespaceProcess;
  /** No packet passes any more, and nobody is told. */
  cut(): void;
  heal(): void;
};

export type NamespaceProcess = {
  readonly pid: number;
  readonly said: () => string;
  readonly exited: Promise<number>;
  kill(signal?: "SIGTERM" | "SIGKILL"): void;
};

/** Why there are none on this machine. */
export function lacksNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (Bun.which("ip") === null) return "network namespaces need the command ip";
  const probe = Bun.spawnSync(["unshare", "-n", "true"]);
  return probe.success ? undefined : "this machine gives no network namespaces";
}

/** @param net third byte of its addresses, 10.77.NET.0/30; different for two that live at once */
export async function addNamespace(name: string, net: number): Promise<Namespace> {
  const host_address = `10.77.${net}.1`;
  const address = `10.77.${net}.2`;
  const near = `tp${net}a`;
  const far = `tp${net}b`;
  if (existsSync(`/var/run/netns/${name}`)) run("ip", "netns", "del", name);
  run("ip", "netns", "add", name);
  run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name);
  run("ip", "addr", "add", `${host_address}/30`, "dev", near);
  run("ip", "link", "set", near, "up");
  const inside = (...command: string[]) => run("ip", "netns", "exec", name, ...command);
  inside("ip", "link", "set", "lo", "up");
  inside("ip", "addr", "add", `${address}/30`, "dev", far);
  inside("ip", "link", "set", far, "up");
  inside("ip", "route", "add", "default", "via", host_address);
  const processes: NamespaceProcess[] = [];
  return {
    host_address,
    address,
    spawn: (command, env = {}) => {
      const started = start(["ip", "netns", "exec", name, ...command], env);
      processes.push(started);
      return started;
    },
    // Down on one side only: packets are lost on the way, as in a cable that is pulled further off.
    cut: () => inside("ip", "link", "set", far, "down"),
    heal: () => {
      inside("ip", "link", "set", far, "up");
      inside("ip", "route", "replace", "default", "via", host_address);
    },
    [Symbol.asyncDispose]: async () => {
      for (const child of processes) child.kill("SIGKILL");
      await Promise.all(processes.map((child) => child.exited));
      run("ip", "netns", "del", name);
    },
  };
}

function start(command: readonly string[], env: Readonly<Record<string, string>>) {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let said = "";
  const listen = async (stream: ReadableStream<Uint8Array>) => {
    for await (const bytes of stream) said += new TextDecoder().decode(bytes);
  };
  void listen(child.stdout);
  void listen(child.stderr);
  return {
    pid: child.pid,
    said: () => said,
    exited: child.exited,
    kill: (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => child.kill(signal),
  };
}

function run(...command: string[]): void {
  const { success, stderr } = Bun.spawnSync(command);
  if (!success) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}
