/**
 * A real cluster as a child process of a test or benchmark: `bun cluster.ts …` on free ports.
 * Always `await using`, so that it is stopped whatever happens.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

export type Cluster = {
  readonly url: string;
  readonly inspector: string;
  readonly pid: number;
  readonly ready_ms: number;
  /** Everything written to stderr so far. */
  readonly log: () => string;
  readonly exited: Promise<number>;
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGINT"): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The command under test: the source tree, or a compiled binary named by TROUPE_BINARY. */
export function clusterCommand(): string[] {
  const binary = process.env.TROUPE_BINARY;
  return binary ? [binary] : [process.execPath, join(root, "cluster.ts")];
}

/** Runs the command to its end: for settings that it must refuse. */
export async function runCluster(args: readonly string[], env: Record<string, string> = {}) {
  const timeout_ms = 20_000;
  const child = Bun.spawn([...clusterCommand(), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeout_ms,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr, pid: child.pid };
}

export async function startCluster(
  args: readonly string[],
  options: {
    timeout_ms?: number;
    env?: Record<string, string>;
    command?: readonly string[];
    cwd?: string;
    /** Ends it while it starts. */
    stop?: AbortSignal;
    /** Usual: warnings. */
    log_level?: "info" | "warn";
  } = {},
): Promise<Cluster> {
  const started_ms = performance.now();
  const child = Bun.spawn(
    [
      ...(options.command ?? clusterCommand()),
      "--port",
      "0",
      "--inspector-port",
      "0",
      "--log-level",
      options.log_level ?? "warn",
      ...args,
    ],
    {
      cwd: options.cwd ?? root,
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...options.env },
    },
  );
  let log = "";
  void (async () => {
    for await (const bytes of child.stderr) log += new TextDecoder().decode(bytes);
  })();
  const end = () => child.kill("SIGTERM");
  options.stop?.addEventListener("abort", end);
  const ready = await readyLine(child.stdout, options.timeout_ms ?? 60_000);
  options.stop?.removeEventListener("abort", end);
  if (ready === undefined) {
    child.kill("SIGKILL");
    throw new Error(`the cluster did not get ready (${args.join(" ")}):\n${log}`);
  }
  return {
    url: ready.url,
    inspector: ready.inspector,
    pid: child.pid,
    ready_ms: performance.now() - started_ms,
    log: () => log,
    exited: child.exited,
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const slow = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(slow);
    },
  };
}

async function readyLine(stdout: ReadableStream<Uint8Array>, timeout_ms: number) {
  const reader = stdout.getReader();
  const deadline_ms = performance.now() + timeout_ms;
  let text = "";
  for (;;) {
    const found = /^ready (\S+) inspector (\S+)$/m.exec(text);
    if (found) return { url: found[1] ?? "", inspector: found[2] ?? "" };
    const left_ms = deadline_ms - performance.now();
    if (left_ms <= 0) return undefined;
    const step = await Promise.race([reader.read(), Bun.sleep(left_ms).then(() => undefined)]);
    if (step === undefined || step.done) return undefined;
    text += new TextDecoder().decode(step.value);
  }
}

export type TreeNode = {
  id: string;
  path: string;
  kind: "supervisor" | "actor" | "process";
  role: string;
  pid: number;
  state: string;
  restarts: number;
  children: string[];
};

export async function tree(cluster: Cluster): Promise<TreeNode[]> {
  const response = await fetch(`${cluster.inspector}/api/tree`);
  return ((await response.json()) as { nodes: TreeNode[] }).nodes;
}

/** Pids of the cluster's processes of one role, from the tree. */
export async function pidsOf(cluster: Cluster, role: string): Promise<number[]> {
  const nodes = await tree(cluster);
  return nodes.filter((n) => n.kind === "process" && n.role === role).map((n) => n.pid);
}

export async function pidOfWorker(cluster: Cluster, worker: string): Promise<number> {
  const found = (await tree(cluster)).find(
    (node) => node.kind === "process" && node.path.endsWith(`/${worker}/process`),
  );
  if (found === undefined) throw new Error(`there is no process of ${worker}`);
  return found.pid;
}

export const alive = (pid: number): boolean => {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  // A zombie is dead; its parent has not asked yet.
  return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
};

/** All living descendants of a process. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]));
    } catch {
      // It ended between the listing and the look.
    }
  }
  const found: number[] = [];
  const queue = [pid];
  for (let parent = queue.pop(); parent !== undefined; parent = queue.pop()) {
    for (const [child, its] of parents) {
      if (its !== parent) continue;
      found.push(child);
      queue.push(child);
    }
  }
  return found;
}

export function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

/** Linux counts in hundredths of a second. */
const tick_ms = 10;

/** Processor time of a process so far. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tick_ms;
}

/** Waits until `check` holds; the error says what was waited for. */
export async function until(
  what: string,
  timeout_ms: number,
  check: () => boolean | Promise<boolean>,
) {
  const deadline_ms = performance.now() + timeout_ms;
  while (!(await check())) {
    if (performance.now() > deadline_ms) throw new Error(`waited ${timeout_ms} ms for ${what}`);
    await Bun.sleep(20);
  }
}
