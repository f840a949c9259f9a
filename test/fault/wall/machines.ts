/** Another machine of the same cluster: it runs workers, and joins over NATS and Redis. */
import { clusterCommand, until } from "../../support/cluster.ts";
import { engineArgs } from "./references.ts";
import type { World } from "./row.ts";

export type Machine = AsyncDisposable & {
  /** Of its root. */
  readonly pid: number;
  readonly said: () => string;
};

export type MachineOptions = {
  readonly name: string;
  readonly planes: readonly string[];
  readonly workers: number;
  readonly speedup?: number;
  /** Put before the command: where it runs. */
  readonly inside?: readonly string[];
};

const ready_ms = 60_000;

/** Resolves when its workers are ready. */
export async function joinMachine(world: World, options: MachineOptions): Promise<Machine> {
  const { name, planes, workers, speedup = 1, inside = [] } = options;
  const child = Bun.spawn(
    [
      ...[...inside, ...clusterCommand(), ...planes, "--role", "worker", "--machine-name", name],
      ...[...engineArgs(world.engine, speedup), "--workers", String(workers)],
      ...["--inspector-port", "0", "--log-level", "warn"],
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  let said = "";
  const listen = async (stream: ReadableStream<Uint8Array>) => {
    for await (const bytes of stream) said += new TextDecoder().decode(bytes);
  };
  void listen(child.stdout);
  void listen(child.stderr);
  await until(`machine ${name} to be ready`, ready_ms, () => {
    if (child.exitCode !== null) throw new Error(`machine ${name} ended: ${said}`);
    return /^ready worker/m.test(said);
  });
  return {
    pid: child.pid,
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const slow = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(slow);
    },
  };
}
