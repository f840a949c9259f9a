/**
 * Messages between two real processes over the unix socket: through references, codecs, envelopes
 * and the receiving actor's mailbox. Only what the receiver has handled counts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { ProcessActor } from "../../../runtime/process/spawn.ts";
import { natsServer } from "../../support/plane-servers.ts";
import {
  joinUnix,
  type Note,
  natsVariable,
  note,
  probe,
  type TestMessage,
} from "../../support/worlds/remote-child.ts";
import { median, quantile, rounded } from "../statistics.ts";

export type RemoteFigures = {
  /** Messages of 48 bytes on the wire, sent as fast as the receiver keeps up; median of rounds. */
  readonly remote_tell_per_s: number;
  /** One ask after the other. */
  readonly remote_ask_p50_us: number;
  readonly remote_ask_p99_us: number;
  /** From kill -9 of the other process to its Down. */
  readonly remote_down_ms: number;
};

const tellRounds = 5;
const tellsPerRound = 1_000_000;
const reportEvery = 5_000;
const burstTells = 2_000;
const askRounds = 20_000;

export async function benchActorsRemote(): Promise<RemoteFigures> {
  const folder = mkdtempSync(join(tmpdir(), "troupe-bench-"));
  try {
    return await benchAt(`unix:${folder}/bench.sock`, {});
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export type NatsFigures = {
  readonly nats_tell_per_s: number;
  /** One ask after the other: two hops, each through the server. */
  readonly nats_ask_p50_us: number;
  readonly nats_ask_p99_us: number;
  /** The half of it. */
  readonly nats_hop_p50_us: number;
};

/** The same over a nats-server on this machine; undefined where none is installed. */
export async function benchActorsNats(): Promise<NatsFigures | undefined> {
  if (Bun.which("nats-server") === null) return undefined;
  const server = await natsServer();
  process.env[natsVariable] = server.url;
  try {
    const figures = await benchAt("nats:bench", { [natsVariable]: server.url });
    return {
      nats_tell_per_s: figures.remote_tell_per_s,
      nats_ask_p50_us: figures.remote_ask_p50_us,
      nats_ask_p99_us: figures.remote_ask_p99_us,
      nats_hop_p50_us: rounded(figures.remote_ask_p50_us / 2),
    };
  } finally {
    delete process.env[natsVariable];
    await server.stop();
  }
}

async function benchAt(address: string, env: Record<string, string>): Promise<RemoteFigures> {
  const { system, remote, leaveBus } = await joinUnix("bench", address);
  let seen = 0;
  try {
    const child = await system.spawnReady(
      () =>
        new ProcessActor({
          node: "bench-child",
          command: [
            process.execPath,
            join(import.meta.dir, "../../support/worlds/remote-child.ts"),
          ],
          env,
          ready_timeout_ms: 10_000,
          stop_budget_ms: 1_000,
          onMessage: (message) => {
            seen = (message as Note).fraction;
          },
        }),
      { name: "bench-child" },
    );
    const { main, pid } = await system.ask(child, { kind: "process_main" }, { deadline_ms: 1_000 });
    if (main === undefined) throw new Error("the child named no actor");
    const subject: Ref<TestMessage> = main;
    const ask_us = await askTimes_us((i) =>
      system.ask(subject, probe("echo", i), { deadline_ms: 5_000 }),
    );
    const rates: number[] = [];
    for (let round = 0; round < tellRounds; round++) {
      rates.push(await tellRate_per_s(subject, () => seen));
    }
    const downAfter_ms = new Promise<number>((resolve) => {
      const start_ms = performance.now();
      system.onDown(subject, () => resolve(performance.now() - start_ms));
      process.kill(pid, "SIGKILL");
    });
    return {
      remote_tell_per_s: Math.round(median(rates)),
      remote_ask_p50_us: rounded(quantile(ask_us, 0.5)),
      remote_ask_p99_us: rounded(quantile(ask_us, 0.99)),
      remote_down_ms: rounded(await downAfter_ms),
    };
  } finally {
    await system.shutdown(2_000);
    remote.close();
    await leaveBus();
  }
}

async function askTimes_us(ask: (i: number) => Promise<unknown>): Promise<number[]> {
  const times_us: number[] = [];
  for (let i = 0; i < askRounds; i++) {
    const start_ms = performance.now();
    await ask(i);
    if (i >= askRounds / 10) times_us.push((performance.now() - start_ms) * 1_000);
  }
  return times_us;
}

async function tellRate_per_s(
  subject: { tell(message: Note): boolean },
  seen: () => number,
): Promise<number> {
  const before = seen();
  const start_ms = performance.now();
  let sent = 0;
  while (seen() - before < tellsPerRound) {
    for (let i = 0; i < burstTells && sent < tellsPerRound; i++) {
      const report = (sent + 1) % reportEvery === 0;
      if (!subject.tell(note(report ? "report" : "layers", 0.5, "layer 12 of 40"))) break;
      sent++;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return tellsPerRound / ((performance.now() - start_ms) / 1_000);
}

if (import.meta.main) {
  console.log(JSON.stringify({ ...(await benchActorsRemote()), ...(await benchActorsNats()) }));
}
