/**
 * Actors of two nodes: references, asks and monitors across a connection.
 *
 * Long because every kernel promise is tried again across a connection.
 */
import { describe, expect, test } from "bun:test";
import { Actor, type Down } from "../../../runtime/kernel/actor.ts";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { ExitReason } from "../../../runtime/kernel/exit-reason.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { formatTraceparent } from "../../../runtime/observe/trace.ts";
import { HandshakeError } from "../../../runtime/remote/handshake.ts";
import { SLOTS_MAX } from "../../../runtime/remote/intern-table.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { wellKnownRef } from "../../../runtime/remote/wire.ts";
import {
  type Note,
  note,
  type Probe,
  probe,
  type TestMessage,
} from "../../support/worlds/remote-child.ts";
import { RemoteWorld, type WorldNode } from "../../support/worlds/remote-world.ts";

/** Keeps what it gets; answers probes by their `stage`. */
class Subject extends Actor<TestMessage> {
  readonly got: TestMessage[] = [];
  readonly traces: (string | undefined)[] = [];
  readonly correlations: (string | undefined)[] = [];
  deadline_ms: number | undefined;

  override receive(message: TestMessage): void {
    this.got.push(message);
    const { trace } = this.ctx;
    this.correlations.push(trace?.correlation);
    this.traces.push(trace === undefined ? undefined : formatTraceparent(trace));
    if (message.kind === "note") {
      if (message.stage === "crash") throw new Error("told to crash");
      return;
    }
    this.deadline_ms = this.ctx.deadline_ms;
    if (message.stage === "silent") return;
    if (message.stage === "stop") this.ctx.stop();
    else if (message.stage === "refuse") this.ctx.refuse("not today");
    else if (message.stage === "nothing") this.ctx.reply(undefined);
    else if (message.stage === "strange") this.ctx.reply({ kind: "unheard-of" });
    else this.ctx.reply(note(message.stage, this.got.length));
  }
}

/** Monitors on request, and tells what came of it. */
class Watcher extends Actor<{ kind: "watch" | "unwatch"; ref: Ref }> {
  readonly downs: Down[] = [];
  #monitor = 0;

  override receive({ kind, ref }: { kind: string; ref: Ref }): void {
    if (kind === "watch") this.#monitor = this.ctx.monitor(ref);
    else this.ctx.demonitor(this.#monitor);
  }
  override down(signal: Down): void {
    this.downs.push(signal);
  }
}

type Two = {
  readonly world: RemoteWorld;
  readonly a: WorldNode;
  readonly b: WorldNode;
  readonly subject: Subject;
  /** The subject, which lives on b, as a sees it. */
  readonly far: Ref<TestMessage>;
};

async function two(options: Parameters<RemoteWorld["node"]>[1] = {}): Promise<Two> {
  const world = new RemoteWorld(3);
  const a = await world.node("a", options);
  const b = await world.node("b", options);
  const subject = new Subject();
  const ref = b.system.spawn(() => subject, { name: "subject" });
  const far = refOf<TestMessage>(a.system, wireOf(b.system, ref));
  return { world, a, b, subject, far };
}

function watcherOn(node: WorldNode): { watcher: Watcher; ref: Ref<never> } {
  const watcher = new Watcher();
  return { watcher, ref: node.system.spawn(() => watcher, { name: "watcher" }) as Ref<never> };
}

const kinds = (downs: readonly { reason: ExitReason }[]): string[] =>
  downs.map(({ reason }) => reason.kind);

describe("messages", () => {
  test("arrive in order, and the connection is made by the first one", async () => {
    const { world, a, subject, far } = await two();
    expect(a.remote.peers()).toEqual([]);
    for (let i = 0; i < 1_000; i++) expect(far.tell(note("n", i))).toBe(true);
    await world.pass();
    expect(subject.got.map((message) => message.fraction)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    expect(a.remote.peers().map(({ node, state }) => [node, state])).toEqual([["b", "up"]]);
  });

  test("a reference that comes home is the local actor", async () => {
    const { a, b, far } = await two();
    expect(far.local).toBe(false);
    const home = refOf<TestMessage>(b.system, wireOf(a.system, far));
    expect(home.local).toBe(true);
    expect(home.address).toEqual(far.address);
  });

  test("to an earlier life are dead letters of the receiver; its asks fail at once", async () => {
    const { world, a, b, subject, far } = await two();
    far.tell(note("hello"));
    await world.pass();
    b.system.stop(b.system.lookup("/subject") as Ref);
    await world.pass();
    const successor = new Subject();
    b.system.spawn(() => successor, { name: "subject" });
    const before = b.system.deadLetters().count;
    far.tell(note("late"));
    const answer = await world.outcome(
      a.system.ask(far, probe("late"), { deadline_ms: 9_000 }),
      10,
    );
    expect((answer as AskError).code).toBe("down");
    expect(b.system.deadLetters().count).toBe(before + 2);
    expect([subject.got.length, successor.got.length]).toEqual([1, 0]);
  });

  test("to a well-known path reach whoever is there now", async () => {
    const { world, a, b, subject } = await two();
    const named = refOf<TestMessage>(a.system, wellKnownRef("b", "/subject", "memory:b"));
    named.tell(note("one"));
    await world.pass();
    b.system.stop(b.system.lookup("/subject") as Ref);
    await world.pass();
    const successor = new Subject();
    b.system.spawn(() => successor, { name: "subject" });
    named.tell(note("two"));
    await world.pass();
    expect([subject.got.length, successor.got.length]).toEqual([1, 1]);
  });

  test("to nobody are dead letters here, and are tried again later", async () => {
    const { world, a } = await two();
    const nobody = refOf<TestMessage>(a.system, wellKnownRef("c", "/subject", "memory:c"));
    nobody.tell(note("first"));
    const answer = await world.outcome(
      a.system.ask(nobody, probe("x"), { deadline_ms: 9_000 }),
      10,
    );
    expect((answer as AskError).code).toBe("down");
    expect(nobody.tell(note("second"))).toBe(false);
    expect(a.system.deadLetters().count).toBe(1);
    const c = await world.node("c");
    const late = new Subject();
    c.system.spawn(() => late, { name: "subject" });
    await world.pass(200);
    expect(nobody.tell(note("third"))).toBe(true);
    await world.pass();
    expect(late.got.map(({ stage }) => stage)).toEqual(["third"]);
  });

  test("more actors than slots are told apart", async () => {
    const { world, a, b } = await two();
    const subjects: Subject[] = [];
    const fars: Ref<TestMessage>[] = [];
    for (let i = 0; i < SLOTS_MAX + 100; i++) {
      const subject = new Subject();
      subjects.push(subject);
      const ref = b.system.spawn(() => subject, { name: `s${i}` });
      fars.push(refOf<TestMessage>(a.system, wireOf(b.system, ref)));
    }
    for (let round = 0; round < 2; round++) {
      fars.forEach((far, i) => {
        far.tell(note("n", i));
      });
      await world.pass();
      await b.system.idle();
    }
    const wrong = subjects.filter(
      ({ got }, i) => got.length !== 2 || got.some((message) => message.fraction !== i),
    );
    expect(wrong.length).toBe(0);
  });

  test("that cannot be encoded are refused with the reason logged, the rest goes on", async () => {
    const { world, a, subject, far } = await two();
    expect((far as Ref<Message>).tell({ kind: "private" })).toBe(false);
    expect(far.tell(note("fine"))).toBe(true);
    await world.pass();
    expect(subject.got.length).toBe(1);
    expect(a.log.lines.some(({ fields }) => String(fields["error"]).includes("private"))).toBe(
      true,
    );
  });

  test("beyond the frame limit are refused, and an ask says why", async () => {
    const { world, a, subject, far } = await two({ frame_limit_bytes: 100_000 });
    const large = "x".repeat(100_001);
    expect(far.tell(note("large", 0, large))).toBe(false);
    const answer = await world.outcome(
      a.system.ask(far, probe("large", 0, large), { deadline_ms: 9_000 }),
    );
    expect((answer as Error).message).toMatch(/limit of 100000/);
    expect(far.tell(note("most", 0, large.slice(0, 99_000)))).toBe(true);
    for (let i = 0; i < 3; i++)
      expect(far.tell(note("next", 0, large.slice(0, 60_000)))).toBe(true);
    await world.pass();
    expect(subject.got.map(({ stage }) => stage)).toEqual(["most", "next", "next", "next"]);
  });

  test("carry the trace, and only when there is one", async () => {
    const { world, a, subject, far } = await two();
    const trace = {
      trace_id: "0af7651916cd43dd8448eb211c80319c",
      span_id: "b7ad6b7169203331",
      flags: 1,
    };
    await world.outcome(a.system.ask(far, probe("traced"), { deadline_ms: 100, trace }));
    far.tell(note("plain"));
    await world.pass();
    expect(subject.traces).toEqual([formatTraceparent(trace), undefined]);
    const named = { ...trace, correlation: "request-17" };
    await world.outcome(a.system.ask(far, probe("named"), { deadline_ms: 100, trace: named }));
    expect(subject.correlations).toEqual([undefined, undefined, "request-17"]);
  });
});

describe("queues", () => {
  test("a peer that does not read makes tells false at the limit; nothing taken is lost", async () => {
    const { world, a, b, subject, far } = await two({ queue_limit_bytes: 200_000 });
    far.tell(note("hello"));
    await world.pass();
    for (const socket of b.net.sockets) socket.pause();
    const text = "x".repeat(1_000);
    let taken = 1;
    for (let i = 0; i < 2_000 && far.tell(note("n", i, text)); i++) {
      taken++;
      if (i % 50 === 0) await world.pass();
    }
    const [peer] = a.remote.peers();
    expect(peer?.stats.refused).toBe(1);
    expect(taken).toBeLessThan(1_000);
    expect(peer?.queued_bytes).toBeLessThan(300_000);
    const answer = await world.outcome(a.system.ask(far, probe("x"), { deadline_ms: 100 }), 5);
    expect((answer as AskError).code).toBe("mailbox_full");
    for (const socket of b.net.sockets) socket.resume();
    await world.pass(5);
    await b.system.idle();
    expect(subject.got.length).toBe(taken);
    expect(far.tell(note("again"))).toBe(true);
  });

  test("a link that refuses frames delays messages, and loses none", async () => {
    const { world, a, b, subject, far } = await two({
      link_queue_bytes: 10_000,
      frame_limit_bytes: 150_000,
    });
    far.tell(note("hello"));
    await world.pass();
    for (const socket of b.net.sockets) socket.pause();
    const sizes = Array.from(
      { length: 300 },
      (_, i) => (i % 7) * 3_000 + (i % 50 === 0 ? 120_000 : 0),
    );
    for (const [i, size] of sizes.entries()) {
      expect(far.tell(note("n", i, "x".repeat(size)))).toBe(true);
      if (i % 60 === 0) await world.pass();
    }
    expect(a.remote.peers()[0]?.queued_bytes).toBeGreaterThan(1_000_000);
    for (const socket of b.net.sockets) socket.resume();
    await world.pass(20);
    await b.system.idle();
    expect(subject.got.slice(1).map(({ detail }) => detail.length)).toEqual(sizes);
    expect(a.remote.peers()[0]?.queued_bytes).toBe(0);
  });

  test("an actor slower than its sender is not overrun: the sender feels it", async () => {
    const { world, a, b } = await two({ queue_limit_bytes: 200_000 });
    class Slow extends Actor<TestMessage> {
      handled = 0;
      override receive(): Promise<void> | void {
        this.handled++;
        if (this.handled % 200 !== 0) return;
        return new Promise((resolve) => void this.ctx.clock.after(1, resolve));
      }
    }
    const slow = new Slow();
    const ref = b.system.spawn(() => slow, { name: "slow" });
    const far = refOf<TestMessage>(a.system, wireOf(b.system, ref));
    let told = 0;
    let refused = 0;
    let waiting_max = 0;
    while (told < 60_000) {
      for (let i = 0; i < 2_000 && told < 60_000; i++) {
        if (!far.tell(note("n", told))) {
          refused++;
          break;
        }
        told++;
      }
      await world.pass(1);
      const shown = b.system.tree().find(({ path }) => path === "/slow");
      waiting_max = Math.max(waiting_max, shown?.mailbox ?? 0);
    }
    for (let i = 0; i < 2_000 && slow.handled < 60_000; i++) {
      await world.pass(1);
      await b.system.idle();
    }
    expect(slow.handled).toBe(60_000);
    expect(refused).toBeGreaterThan(0);
    // The mark at which reading stops, and what one read brought beyond it.
    expect(waiting_max).toBeGreaterThan(4_000);
    expect(waiting_max).toBeLessThan(8_192 + 16_384);
    expect(b.system.counters.refused).toBe(0);
  });

  test("an actor that does not get on does not block the others of its node", async () => {
    const { world, a, b, subject, far } = await two();
    const stuck = b.system.spawn(() => new Subject(), { name: "stuck" });
    const farStuck = refOf<TestMessage>(a.system, wireOf(b.system, stuck));
    b.system.control("/stuck", "suspend");
    for (let i = 0; i < 20_000; i++) {
      farStuck.tell(note("n", i));
      if (i % 2_000 === 0) await world.pass(1);
    }
    far.tell(note("through"));
    await world.pass(100);
    expect(subject.got.map(({ stage }) => stage)).toEqual(["through"]);
  });

  test("messages told while the connection is made are bounded as well", async () => {
    const { world, a, subject, far } = await two({ queue_limit_bytes: 10_000 });
    let taken = 0;
    while (far.tell(note("n", 0, "x".repeat(500)))) taken++;
    expect(taken).toBeGreaterThan(10);
    expect(taken).toBeLessThan(30);
    await world.pass(5);
    expect(subject.got.length).toBe(taken);
    expect(a.remote.peers()[0]?.stats.refused).toBe(1);
  });
});

describe("asks", () => {
  test("are answered with a message or with nothing", async () => {
    const { world, a, far } = await two();
    const ask = (stage: string) => a.system.ask(far, probe(stage), { deadline_ms: 1_000 });
    expect(await world.outcome(ask("x"))).toMatchObject({ kind: "note", stage: "x" });
    expect(await world.outcome(ask("nothing"))).toBeUndefined();
  });

  test("fail with what the other side said", async () => {
    const { world, a, far } = await two();
    const ask = (stage: string) => a.system.ask(far, probe(stage), { deadline_ms: 1_000 });
    const refused = (await world.outcome(ask("refuse"))) as AskError;
    expect([refused.code, refused.message]).toEqual([
      "refused",
      expect.stringMatching(/^refused: asked b\/subject.*"probe": not today$/),
    ]);
    const strange = (await world.outcome(ask("strange"))) as AskError;
    expect(strange.message).toContain("unheard-of");
  });

  test("fail at once when the actor ends, and at the deadline when it says nothing", async () => {
    const { world, a, subject, far } = await two();
    const start_ms = world.clock.now_ms();
    const silent = await world.outcome(a.system.ask(far, probe("silent"), { deadline_ms: 50 }));
    expect((silent as AskError).code).toBe("deadline");
    expect(world.clock.now_ms() - start_ms).toBeLessThan(60);
    // What was left of the time went along, so the other side knows it too.
    expect(subject.deadline_ms).toBeCloseTo(start_ms + 50, 0);
    const stopped = a.system.ask(far, probe("stop"), { deadline_ms: 9_000 });
    expect(((await world.outcome(stopped, 10)) as AskError).code).toBe("down");
  });

  test("an answer after the deadline is dropped and counted", async () => {
    const { world, a, b } = await two();
    class Slow extends Actor<Probe> {
      override receive(): void {
        const port = this.ctx.replyLater();
        this.ctx.clock.after(300, () => port.reply(note("late")));
      }
    }
    const slow = b.system.spawn(() => new Slow(), { name: "slow" });
    const far = refOf<Probe>(a.system, wireOf(b.system, slow));
    const answer = await world.outcome(a.system.ask(far, probe("x"), { deadline_ms: 100 }));
    expect((answer as AskError).code).toBe("deadline");
    await world.pass(6_000);
    expect(b.system.counters.late_replies).toBe(1);
    expect(a.remote.peers()[0]?.waiting_asks).toBe(0);
  });

  test("fail at once when the node dies", async () => {
    const { world, a, b, far } = await two();
    await world.outcome(a.system.ask(far, probe("x"), { deadline_ms: 100 }));
    const asking = a.system.ask(far, probe("silent"), { deadline_ms: 9_000 });
    b.net.kill();
    const answer = (await world.outcome(asking, 5)) as AskError;
    expect(answer).toBeInstanceOf(AskError);
    expect(answer.code).toBe("down");
  });
});

describe("monitors", () => {
  test("tell the end once, with its reason", async () => {
    const { world, a, far } = await two();
    const { watcher, ref } = watcherOn(a);
    ref.tell({ kind: "watch", ref: far } as never);
    await world.pass();
    far.tell(note("crash"));
    await world.pass();
    expect(kinds(watcher.downs)).toEqual(["crash"]);
    expect(watcher.downs[0]?.reason).toMatchObject({ error: "Error: told to crash" });
    expect(watcher.downs[0]?.ref.address).toEqual(far.address);
    await world.pass(10_000);
    expect(watcher.downs.length).toBe(1);
  });

  test("of the dead say noproc, of a lost node noconnection, of none reachable too", async () => {
    const { world, a, b, far } = await two();
    const first = watcherOn(a);
    first.ref.tell({ kind: "watch", ref: far } as never);
    await world.pass();
    const gone = refOf(a.system, {
      ...wireOf(a.system, far),
      incarnation: new Uint8Array(8).fill(9),
    });
    first.ref.tell({ kind: "watch", ref: gone } as never);
    await world.pass();
    expect(kinds(first.watcher.downs)).toEqual(["noproc"]);
    b.net.kill();
    await world.pass();
    expect(kinds(first.watcher.downs)).toEqual(["noproc", "noconnection"]);
    first.ref.tell({ kind: "watch", ref: far } as never);
    await world.pass();
    expect(kinds(first.watcher.downs)).toEqual(["noproc", "noconnection", "noconnection"]);
  });

  test("that were taken back say nothing, and leave nothing on the other side", async () => {
    const { world, a, b, far } = await two();
    const { watcher, ref } = watcherOn(a);
    ref.tell({ kind: "watch", ref: far } as never);
    await world.pass();
    ref.tell({ kind: "unwatch", ref: far } as never);
    await world.pass();
    b.system.stop(b.system.lookup("/subject") as Ref);
    await world.pass();
    expect(watcher.downs).toEqual([]);
    expect(a.remote.peers()[0]?.stats.late_answers).toBe(0);
  });

  test("of a node that is never suspected fire at its end alone", async () => {
    const { world, a, b, far } = await two({ heartbeat_ms: 100, suspect_after_ms: 1_000 });
    const { watcher, ref } = watcherOn(a);
    ref.tell({ kind: "watch", ref: far } as never);
    a.remote.neverSuspect(far.address.node);
    await world.pass(500);
    for (const socket of a.net.sockets) socket.pause();
    await world.pass(30_000);
    expect(watcher.downs).toEqual([]);
    for (const socket of a.net.sockets) socket.resume();
    b.remote.close();
    await world.pass(100);
    expect(kinds(watcher.downs)).toEqual(["noconnection"]);
  });

  test("of a node that said it would be silent wait for as long as it said", async () => {
    const { world, a, b, far } = await two({ heartbeat_ms: 100, suspect_after_ms: 1_000 });
    const { watcher, ref } = watcherOn(a);
    ref.tell({ kind: "watch", ref: far } as never);
    await world.pass();
    b.remote.quiet(3_000);
    await world.pass(10);
    for (const socket of a.net.sockets) socket.pause();
    await world.pass(3_800);
    expect(watcher.downs).toEqual([]);
    await world.pass(500);
    expect(kinds(watcher.downs)).toEqual(["noconnection"]);
  });

  test("of a node that took its word back are as quick as ever", async () => {
    const { world, a, b, far } = await two({ heartbeat_ms: 100, suspect_after_ms: 1_000 });
    const { watcher, ref } = watcherOn(a);
    ref.tell({ kind: "watch", ref: far } as never);
    await world.pass();
    b.remote.quiet(60_000);
    b.remote.quiet(0);
    await world.pass(10);
    for (const socket of a.net.sockets) socket.pause();
    await world.pass(1_300);
    expect(kinds(watcher.downs)).toEqual(["noconnection"]);
  });

  test("of a node that fell silent fire after the suspicion time", async () => {
    const { world, a, b, far } = await two({ heartbeat_ms: 100, suspect_after_ms: 1_000 });
    const { watcher, ref } = watcherOn(a);
    ref.tell({ kind: "watch", ref: far } as never);
    await world.pass(5_000);
    expect(watcher.downs).toEqual([]);
    // Frozen, not dead: its sockets stay open and take nothing.
    for (const socket of a.net.sockets) socket.pause();
    await world.pass(900);
    expect(watcher.downs).toEqual([]);
    await world.pass(400);
    expect(kinds(watcher.downs)).toEqual(["noconnection"]);
    expect(b.remote.peers().filter(({ state }) => state === "up")).toEqual([]);
  });
});

describe("joining", () => {
  test("two protocol versions do not talk, and both say which", async () => {
    const world = new RemoteWorld(5);
    const old = await world.node("old", { protocol_version: 6 });
    const young = await world.node("young", { protocol_version: 7 });
    const failure = (await world.outcome(old.remote.connect("memory:young"))) as HandshakeError;
    expect(failure).toBeInstanceOf(HandshakeError);
    expect(failure.code).toBe("version");
    expect(failure.message).toMatch(/"young" speaks protocol version 7, node "old" version 6/);
    await world.pass(10);
    expect([old.remote.peers(), young.remote.peers()]).toEqual([[], []]);
    const warned = young.log.lines.filter(({ level }) => level === "warn");
    expect(warned.map(({ fields }) => fields["code"])).toEqual(["version"]);
  });

  test("a later start of a node replaces the earlier one; an old epoch is turned away", async () => {
    const world = new RemoteWorld(5);
    const hub = await world.node("hub");
    const events: string[] = [];
    hub.remote.onPeer((event) => events.push(event.kind));
    const first = await world.node("w", { listen: "memory:w1", lease_epoch: 4 });
    await world.outcome(first.remote.connect("memory:hub"));
    const second = await world.node("w", { listen: "memory:w2", lease_epoch: 5 });
    await world.outcome(second.remote.connect("memory:hub"));
    await world.pass();
    expect(hub.remote.peers().map(({ identity }) => identity?.lease_epoch)).toEqual([5]);
    expect(first.remote.peers()).toEqual([]);
    const back = (await world.outcome(first.remote.connect("memory:hub"))) as HandshakeError;
    expect(back.code).toBe("superseded");
    expect(back.message).toContain("epoch 4");
    expect(events.filter((kind) => kind === "up").length).toBe(2);
  });

  test("another node than the expected one is no substitute", async () => {
    const { world, a } = await two();
    const wrong = refOf<TestMessage>(a.system, wellKnownRef("somebody", "/subject", "memory:b"));
    const answer = await world.outcome(a.system.ask(wrong, probe("x"), { deadline_ms: 9_000 }), 10);
    expect((answer as AskError).code).toBe("down");
    expect((answer as AskError).message).toContain('expected node "somebody", "b" answered');
  });

  test("one that connects and says nothing, or garbage, is dropped", async () => {
    const world = new RemoteWorld(5);
    const hub = await world.node("hub", { connect_timeout_ms: 500 });
    const net = world.network.net();
    const closes: string[] = [];
    const handlers = { data: () => {}, drain: () => {}, close: () => void closes.push("closed") };
    const quiet = net.connect("memory:hub", handlers, 100);
    const loud = net.connect("memory:hub", handlers, 100);
    await world.outcome(quiet);
    const socket = await world.outcome(loud);
    if (!(socket instanceof Error)) socket.write(Uint8Array.of(3, 0, 0, 0, 255, 255, 255));
    await world.pass(10);
    expect(closes.length).toBe(1);
    await world.pass(600);
    expect(closes.length).toBe(2);
    expect(hub.remote.peers()).toEqual([]);
  });

  test("both may dial each other at the same time: no message is lost or doubled", async () => {
    const { world, a, b, subject, far } = await two();
    const here = new Subject();
    const ref = a.system.spawn(() => here, { name: "here" });
    const back = refOf<TestMessage>(b.system, wireOf(a.system, ref));
    for (let i = 0; i < 100; i++) {
      far.tell(note("n", i));
      back.tell(note("n", i));
    }
    await world.pass();
    for (let i = 100; i < 200; i++) {
      far.tell(note("n", i));
      back.tell(note("n", i));
    }
    await world.pass();
    const expected = Array.from({ length: 200 }, (_, i) => i);
    expect(subject.got.map((message: Note | Probe) => message.fraction)).toEqual(expected);
    expect(here.got.map((message) => message.fraction)).toEqual(expected);
    // The link that both agreed on was accepted by a connection whose time limit means nothing now.
    const lost: string[] = [];
    for (const { remote } of [a, b]) {
      remote.onPeer((event) => event.kind === "lost" && lost.push(event.why));
    }
    await world.pass(10_000);
    expect(lost).toEqual([]);
  });

  test("leaving flushes what was told and ends every link", async () => {
    const { world, a, b, subject, far } = await two();
    far.tell(note("hello"));
    await world.pass();
    far.tell(note("last words"));
    a.remote.close();
    await world.pass();
    expect(subject.got.length).toBe(2);
    expect(b.remote.peers()).toEqual([]);
    expect(far.tell(note("after"))).toBe(false);
  });
});
