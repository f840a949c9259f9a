/**
 * A child process for tests and benches of `runtime/remote` and `runtime/spawn`: joins its parent
 * and serves one actor that counts, answers, ends and misbehaves on request.
 */
import { codecs } from "../../../proto/index.ts";
import type { Capabilities } from "../../../runtime/capabilities.ts";
import { CodecTable, protoCodecs } from "../../../runtime/codec.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ask, Message } from "../../../runtime/kernel/message.ts";
import { type ActorSystem, createSystem } from "../../../runtime/kernel/system.ts";
import { joinParent } from "../../../runtime/process/child.ts";
import { epochOf } from "../../../runtime/process/lease-epoch.ts";
import { realCapabilities } from "../../../runtime/real/capabilities.ts";
import { natsBus } from "../../../runtime/real/nats-bus.ts";
import { onChildStop } from "../../../runtime/real/signals.ts";
import { joinNode, type RemoteNode, type RemoteOptions } from "../../../runtime/remote/node.ts";
import { natsTransport } from "../../../runtime/transport/nats.ts";
import type { Transport } from "../../../runtime/transport/transport.ts";
import { unixTransport } from "../../../runtime/transport/unix.ts";
import { runtimeCodecs } from "../../../runtime/wire-messages.ts";

/** The wire of these is borrowed from the program's own: text, a number, a detail. */
export type Note = { kind: "note"; stage: string; fraction: number; detail: string };
export type Probe = Ask<Note> & { kind: "probe"; stage: string; fraction: number; detail: string };
export type TestMessage = Note | Probe;

export const testCodecs = new CodecTable([
  ...runtimeCodecs,
  ...protoCodecs([
    { id: 1_000, kind: "note", codec: codecs.Progress },
    { id: 1_001, kind: "probe", codec: codecs.Progress },
  ]),
]);

export const note = (stage: string, fraction = 0, detail = ""): Note => ({
  kind: "note",
  stage,
  fraction,
  detail,
});
export const probe = (stage: string, fraction = 0, detail = ""): Probe => ({
  kind: "probe",
  stage,
  fraction,
  detail,
});

export type JoinedProcess = {
  readonly capabilities: Capabilities;
  readonly system: ActorSystem;
  readonly remote: RemoteNode;
  /** Leaves the NATS server, if there is one; its client would keep the process. */
  readonly leaveBus: () => Promise<void>;
};

/** A NATS server for the nodes of a test, beside the unix sockets: its URL. */
export const natsVariable = "TEST_NATS";

/** This process as a node over unix sockets, and over NATS where the environment names a server. */
export async function joinUnix(
  node: string,
  listen: string | undefined,
  options: Partial<RemoteOptions> = {},
): Promise<JoinedProcess> {
  // Crash reports of processes that are killed on purpose would drown what is printed.
  const capabilities = realCapabilities({ log_level: "error", write_log: () => {} });
  const system = createSystem({ node, capabilities });
  const limits = { frame_limit_bytes: 32 * 1024 * 1024, queue_limit_bytes: 64 * 1024 * 1024 };
  const transports: Transport[] = [unixTransport(capabilities.net, limits)];
  let leaveBus = async () => {};
  const url = process.env[natsVariable];
  if (url !== undefined) {
    const bus = natsBus({ url, client_name: node, env: {} });
    leaveBus = () => bus.close();
    await bus.ready(5_000);
    transports.push(natsTransport(bus, capabilities, limits, { prefix: "test" }));
  }
  const remote = await joinNode(system, {
    transports,
    codecs: testCodecs,
    ...(listen === undefined ? {} : { listen }),
    ...options,
  });
  return { capabilities, system, remote, leaveBus };
}

/** Answers probes by what their `stage` asks for. */
class Subject extends Actor<TestMessage> {
  #seen = 0;
  readonly #parent: { tell(message: Message): boolean };

  constructor(parent: { tell(message: Message): boolean }) {
    super();
    this.#parent = parent;
  }

  override receive(message: TestMessage): void {
    if (message.kind === "note") {
      this.#seen++;
      // Reports progress back, so that a sender can keep a window.
      if (message.stage === "report") this.#parent.tell(note("seen", this.#seen));
      if (message.stage === "crash") throw new Error("told to crash");
      if (message.stage === "exit") process.exit(message.fraction);
      if (message.stage === "say") console.error(message.detail);
      return;
    }
    if (message.stage === "silent") return;
    if (message.stage === "stop") this.ctx.stop();
    else this.ctx.reply(note(message.stage, this.#seen, message.detail));
  }
}

if (import.meta.main) {
  const node = process.env["TROUPE_NODE"] ?? "child";
  const { system, remote } = await joinUnix(node, undefined, { lease_epoch: epochOf(process.env) });
  const line = await joinParent(remote, process.env, () => process.exit(0));
  onChildStop(() => {
    if (process.env["TEST_DEAF"] === "1") return;
    console.error("stopping");
    setTimeout(
      () => {
        console.error("all done");
        process.exit(0);
      },
      Number(process.env["TEST_STOP_MS"] ?? 0),
    );
  });
  if (process.env["TEST_GRANDCHILD"] === "1") {
    const grandchild = Bun.spawn(["sleep", "600"], { stdin: "ignore", stdout: "ignore" });
    console.error(`grandchild ${grandchild.pid}`);
  }
  const subject = system.spawn(() => new Subject(line.ref), { name: "subject" });
  if (process.env["TEST_NEVER_READY"] !== "1") line.ready(subject);
}
