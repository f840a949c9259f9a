/**
 * An OS process as an actor: supervised, restarted and stopped like any other.
 *
 *     init: start ──► joined ──► ready ─ ─ ─ exit or lost connection ──► crash ──► restarted
 *                                  └ stop: SIGTERM, budget, SIGKILL
 *
 * The child joins over the line named in its environment (see child.ts). It dies with this process
 * however that ends: it is started so, and it leaves by itself when the line is cut.
 */

import type { ChildProcess, ProcessExit, Timer } from "../capabilities.ts";
import { Actor, type NodeKind, type Snapshot } from "../kernel/actor.ts";
import type { Ask, Message } from "../kernel/message.ts";
import type { Ref } from "../kernel/ref.ts";
import { nodeOf, refOf, wireOf } from "../remote/node.ts";
import type { ProcessReady } from "../wire-messages.ts";
import { LINE_VARIABLE, lineToText } from "./child.ts";
import { lastWords } from "./last-words.ts";
import { EPOCH_VARIABLE, nextEpoch } from "./lease-epoch.ts";

export type ProcessSpec = {
  /** Name of the child's node. */
  readonly node: string;
  /** Instead of another copy of this program. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  /** In front of the command: a program that runs it. */
  readonly under?: readonly string[];
  /** Beside this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** From the start of the process to its ready; then it is killed. */
  readonly ready_timeout_ms: number;
  /** From SIGTERM to SIGKILL; keep it below the child specification's `shutdown_ms`. */
  readonly stop_budget_ms: number;
  /** A line that the process wrote to stderr. Not given: logged. */
  readonly onLine?: (line: string) => void;
  /** Messages of the child while it starts, and any other message to its line. */
  readonly onMessage?: (message: Message) => void;
  /** Called at each end of the process, with how it ended. */
  readonly onExit?: (exit: ProcessExit) => void;
};

/** The actor that the child named in its ready; undefined when it named none. */
type ProcessMain = { readonly main: Ref<Message> | undefined; readonly pid: number };
type GetMain = { readonly kind: "process_main" } & Ask<ProcessMain>;
type Ended = { readonly kind: "process_ended"; readonly why: string };
/** Harm on purpose; replies with the process's pid, 0 when it has ended. */
export type HarmProcess = {
  readonly kind: "process_harm";
  /** freeze: it is stopped for so long, and then goes on in any case. */
  readonly harm: "kill9" | "freeze";
  readonly for_ms: number;
} & Ask<number>;
export type ProcessMessage = GetMain | Ended | HarmProcess;

/** A process that ended or fell silent; `message` carries its last words. */
class ProcessDied extends Error {
  override readonly name = "ProcessDied";
  readonly code = "process_died";

  constructor(message: string) {
    super(message);
    // It would show where this process noticed the end, which explains nothing.
    delete this.stack;
  }
}

const LINE_BYTES_MAX = 8 * 1024;
/**
 * Wait after the loss of the connection; then the process counts as dead in any case. It is waited
 * twice: where this process was held up for longer than that, the exit is read in between.
 */
const EXIT_WAIT_MS = 250;
const LAST_LINES_MAX = 5;
/** Nobody waits longer for a process that was frozen on purpose. */
export const FREEZE_MOST_MS = 60_000;

export class ProcessActor extends Actor<ProcessMessage> {
  readonly #spec: ProcessSpec;
  readonly #lastLines: string[] = [];
  #process: ChildProcess | undefined = undefined;
  #exit: ProcessExit | undefined = undefined;
  #exited: (() => void) | undefined = undefined;
  #main: Ref<Message> | undefined = undefined;
  #isReady = false;
  #unlisten: (() => void) | undefined = undefined;
  /** Until the process, which was frozen on purpose, goes on. */
  #frozen: Timer | undefined = undefined;

  constructor(spec: ProcessSpec) {
    super();
    this.#spec = spec;
  }

  /** Resolves when the child said that it is ready. */
  override init(): Promise<void> {
    const { clock, spawn } = this.ctx.capabilities;
    const { node, ready_timeout_ms } = this.#spec;
    const remote = nodeOf(this.ctx.system);
    if (remote === undefined || remote.address === "") {
      throw new TypeError("a process needs a parent that listens: joinNode first, with `listen`");
    }
    return new Promise((resolve, reject) => {
      const late = clock.after(ready_timeout_ms, () =>
        fail(`it was not ready within ${ready_timeout_ms} ms`),
      );
      const fail = (why: string): void => {
        clock.cancel(late);
        reject(this.#died(why));
      };
      const ready = (message: ProcessReady): void => {
        clock.cancel(late);
        this.#ready(message);
        resolve();
      };
      const line = this.#openLine(ready);
      const epoch = nextEpoch(this.ctx.system);
      let told = false;
      const ended = (why: string): void => {
        if (told) return;
        told = true;
        fail(why);
        this.ctx.self.tell({ kind: "process_ended", why });
      };
      this.#unlisten = remote.onPeer((event) => {
        // The end of an earlier life of this node may still be on its way.
        const { node: name, lease_epoch } = event.identity;
        if (event.kind === "up" || name !== node || lease_epoch !== epoch) return;
        // The exit, known in a moment, tells more than the end of the connection.
        if (event.kind === "lost") {
          clock.after(EXIT_WAIT_MS, () => clock.after(EXIT_WAIT_MS, () => ended(event.why)));
        } else if (this.#process?.stopped()) ended(stoppedText(event.silent_ms));
      });
      const parent = lineToText(wireOf(this.ctx.system, line));
      this.#process = spawn.start({
        command: [
          ...(this.#spec.under ?? []),
          ...(this.#spec.command ?? spawn.self),
          ...(this.#spec.args ?? []),
        ],
        env: {
          ...this.#spec.env,
          TROUPE_NODE: node,
          [LINE_VARIABLE]: parent,
          [EPOCH_VARIABLE]: String(epoch),
        },
        onStderr: lines((text) => this.#line(text)),
        onExit: (exit) => {
          this.#exit = exit;
          this.#spec.onExit?.(exit);
          this.#exited?.();
          ended(exitText(exit));
        },
      });
    });
  }

  override receive(message: ProcessMessage): void {
    switch (message.kind) {
      case "process_main":
        this.ctx.reply({ main: this.#main, pid: this.#process?.pid ?? 0 } satisfies ProcessMain);
        return;
      case "process_harm":
        this.ctx.reply(this.#harm(message));
        return;
      case "process_ended":
        throw this.#died(message.why);
    }
  }

  /** The end of a killed process is seen as any other. */
  #harm({ harm, for_ms }: HarmProcess): number {
    const process = this.#process;
    if (process === undefined || this.#exit !== undefined) return 0;
    const { clock, log } = this.ctx;
    log.log("warn", `${harm} of a process, as was asked for`, { pid: process.pid, for_ms });
    if (harm === "kill9") {
      process.kill("SIGKILL");
      return process.pid;
    }
    if (this.#frozen !== undefined) clock.cancel(this.#frozen);
    process.kill("SIGSTOP");
    this.#frozen = clock.after(Math.min(for_ms, FREEZE_MOST_MS), () => this.#thaw());
    return process.pid;
  }

  #thaw(): void {
    if (this.#frozen === undefined) return;
    this.ctx.clock.cancel(this.#frozen);
    this.#frozen = undefined;
    this.#process?.kill("SIGCONT");
  }

  override async terminate(): Promise<void> {
    const process = this.#process;
    if (process === undefined || this.#exit !== undefined) return;
    this.#thaw();
    // A silent process is killed at once; a stopped one has its budget.
    const { clock } = this.ctx;
    const exited = new Promise<void>((resolve) => {
      this.#exited = resolve;
    });
    const hears = this.#isReady && this.#joined() && !process.stopped();
    process.kill(hears ? "SIGTERM" : "SIGKILL");
    const late = clock.after(this.#spec.stop_budget_ms, () => {
      this.ctx.log.log("warn", "killed: it did not end within its budget", { pid: process.pid });
      process.kill("SIGKILL");
    });
    await exited;
    clock.cancel(late);
  }

  /** Kills the process after a kill or a failed start: no process outlives its actor. */
  override release(): void {
    this.#unlisten?.();
    this.#thaw();
    if (this.#exit === undefined) this.#process?.kill("SIGKILL");
  }

  override inspect(): Snapshot {
    return {
      node: this.#spec.node,
      pid: this.#process?.pid ?? 0,
      ready: this.#isReady,
      last_lines: [...this.#lastLines],
    };
  }

  override nodeKind(): NodeKind {
    return "process";
  }

  override nodePid(): number | undefined {
    return this.#process?.pid;
  }

  #openLine(ready: (message: ProcessReady) => void): Ref<Message> {
    const take = (message: Message): void => {
      if (message.kind === "process_ready") ready(message as ProcessReady);
      else this.#spec.onMessage?.(message);
    };
    return this.ctx.spawn(() => new Line(take), { name: "line" });
  }

  #joined(): boolean {
    const peers = nodeOf(this.ctx.system)?.peers() ?? [];
    return peers.some(({ node, state }) => node === this.#spec.node && state === "up");
  }

  #ready({ main }: ProcessReady): void {
    this.#isReady = true;
    this.#main = main === undefined ? undefined : refOf<Message>(this.ctx.system, main);
  }

  #line(text: string): void {
    if (this.#lastLines.length === LAST_LINES_MAX) this.#lastLines.shift();
    this.#lastLines.push(text);
    if (this.#spec.onLine !== undefined) this.#spec.onLine(text);
    else this.ctx.log.log("info", text, { process: this.#spec.node });
  }

  #died(why: string): ProcessDied {
    const { node } = this.#spec;
    const pid = this.#process?.pid;
    const words = lastWords(this.#lastLines);
    const said = words === "" ? "" : `; it said: ${words}`;
    return new ProcessDied(
      `process "${node}"${pid === undefined ? "" : ` (pid ${pid})`}: ${why}${said}`,
    );
  }
}

/** The actor to which the child reports; it gets messages while its parent waits in `init`. */
class Line extends Actor<Message> {
  readonly #take: (message: Message) => void;

  constructor(take: (message: Message) => void) {
    super();
    this.#take = take;
  }

  override receive(message: Message): void {
    this.#take(message);
  }
}

function exitText({ code, signal }: ProcessExit): string {
  return signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
}

/** Why a stopped process is killed: it may never go on, and it keeps its share of a port. */
function stoppedText(silent_ms: number): string {
  return `it is stopped, and said nothing for ${Math.round(silent_ms)} ms`;
}

/** Cuts bytes into lines; one longer than the limit is cut too. */
export function lines(take: (line: string) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder();
  let rest = "";
  return (bytes) => {
    rest += decoder.decode(bytes, { stream: true });
    for (;;) {
      const end = rest.indexOf("\n");
      if (end < 0 && rest.length < LINE_BYTES_MAX) return;
      const line = rest.slice(0, end < 0 ? LINE_BYTES_MAX : end);
      rest = rest.slice(end < 0 ? LINE_BYTES_MAX : end + 1);
      if (line !== "") take(line);
    }
  };
}
