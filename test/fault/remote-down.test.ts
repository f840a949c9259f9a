/** kill -9 of a process that others ask and monitor. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Actor, type Down } from "../../runtime/kernel/actor.ts";
import type { Message } from "../../runtime/kernel/message.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { ProcessActor } from "../../runtime/process/spawn.ts";
import { joinUnix, probe, type TestMessage } from "../support/worlds/remote-child.ts";

class Mourner extends Actor<Message> {
  readonly downs: Down[] = [];
  readonly #far: Ref;
  constructor(far: Ref) {
    super();
    this.#far = far;
  }
  override init(): void {
    this.ctx.monitor(this.#far);
    this.ctx.monitor(this.#far);
  }
  override receive(): void {}
  override down(signal: Down): void {
    this.downs.push(signal);
  }
}

test("every ask fails, every monitor tells once, nothing waits for a deadline", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-down-"));
  const { system, remote } = await joinUnix("root", `unix:${folder}/root.sock`);
  const spec = {
    node: "child",
    command: [process.execPath, join(import.meta.dir, "../support/worlds/remote-child.ts")],
    ready_timeout_ms: 10_000,
    stop_budget_ms: 1_000,
    onLine: () => {},
  };
  const ref = await system.spawnReady(() => new ProcessActor(spec), { name: "child" });
  const { main, pid } = await system.ask(ref, { kind: "process_main" }, { deadline_ms: 2_000 });
  const subject: Ref<TestMessage> = main as Ref<Message>;
  const mourner = new Mourner(subject as Ref);
  system.spawn(() => mourner, { name: "mourner" });
  await system.ask(subject, probe("echo"), { deadline_ms: 5_000 });

  // Minutes of deadline: only the connection's end can settle these in time for this test.
  const codes = Array.from({ length: 1_000 }, () =>
    system.ask(subject, probe("silent"), { deadline_ms: 600_000 }).then(
      () => "answered",
      (error: { code: string }) => error.code,
    ),
  );
  // Behind them on the same connection: its answer says that they are all there.
  await system.ask(subject, probe("echo"), { deadline_ms: 10_000 });
  process.kill(pid, "SIGKILL");
  expect(new Set(await Promise.all(codes))).toEqual(new Set(["down"]));
  await system.idle();
  expect(mourner.downs.map(({ reason }) => reason.kind)).toEqual(["noconnection", "noconnection"]);
  expect(remote.peers()).toEqual([]);
  expect(subject.tell(probe("late"))).toBe(false);
  await system.shutdown(2_000);
  remote.close();
  rmSync(folder, { recursive: true });
});
