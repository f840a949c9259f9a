/** What people did, what takes it back, and bodies that are no command. */
import { expect, test } from "bun:test";
import { ActLog } from "../../../actors/inspector/acts/act-log.ts";
import {
  askedFor,
  type Command,
  namedAct,
  undoAdd,
  undoControl,
  undoRetire,
} from "../../../actors/inspector/acts/command.ts";
import {
  readAdd,
  readFault,
  readRetire,
  readWeights,
} from "../../../actors/inspector/acts/read-command.ts";

const control = (action: string): Command => ({ kind: "control", place: "root/x", action });
const worker = (name: string, model = "m") =>
  ({ worker: name, model, role: "decode", finished: 0, unfinished: 0 }) as const;

test("what takes an act back", () => {
  expect(undoControl("root/x", "suspend", undefined)).toEqual(control("resume"));
  expect(undoControl("root/x", "resume", undefined)).toEqual(control("suspend"));
  expect(undoControl("root/x", "stop", undefined)).toEqual(control("restart"));
  expect(undoControl("root/x", "kill", undefined)).toBeUndefined();
  expect(undoControl("root/x", "drain", undefined)).toBeUndefined();
  expect(undoControl("root/x", "prefill", "aggregated")).toEqual(control("aggregated"));
  expect(undoControl("root/x", "prefill", "prefill")).toBeUndefined();
  expect(undoAdd(["worker-2"])).toEqual({ kind: "retire", workers: ["worker-2"] });
  expect(undoAdd([])).toBeUndefined();
  expect(undoRetire([worker("decode-1"), worker("decode-2")], "root")).toMatchObject({
    ...{ kind: "add", machine: "root", model: "m", role: "decode", count: 2 },
  });
  expect(undoRetire([worker("decode-1"), worker("decode-2", "n")], "root")).toBeUndefined();
  expect(undoRetire([], "root")).toBeUndefined();
});

test("a command is a request that a person could send, and reads as what it is", () => {
  const add: Command = {
    ...{ kind: "add", machine: "", model: "m", role: undefined, count: 2, ready_s: 0 },
  };
  const cases: readonly (readonly [Command, string, string, object | null, string])[] = [
    [control("kill"), "POST", "/api/actors/root%2Fx/kill", null, "kill root/x"],
    [add, "POST", "/api/workers", { model: "m", count: 2 }, "add 2 workers m"],
    [undoAdd(["a"])!, "DELETE", "/api/workers/a", null, "retire a"],
    [undoAdd(["a", "b"])!, "DELETE", "/api/workers", { workers: ["a", "b"] }, "retire a, b"],
    [
      { kind: "fault", place: "root/x", fault: "freeze", seconds: 2 },
      "POST",
      "/api/actors/root%2Fx/fault",
      { fault: "freeze", seconds: 2 },
      "freeze 2 s root/x",
    ],
    [
      { kind: "weights", weights: { patience: null } },
      "PUT",
      "/api/router",
      { weights: { patience: null } },
      "router weights patience=null",
    ],
  ];
  for (const [command, method, path, body, text] of cases) {
    expect(askedFor(command)).toEqual({ method: method as "POST", path, body });
    const { what, target } = namedAct(command);
    expect(`${what} ${target}`).toBe(text);
  }
});

test("an act is under way, then done or failed; it is taken back once", () => {
  let now_ms = 1_000;
  const log = new ActLog(() => now_ms++);
  const { id } = log.begin(control("suspend"), "127.0.0.1");
  expect(log.all()[0]).toMatchObject({ id: "1", at_ms: 1_000, who: "127.0.0.1", done: false });
  expect(log.undoing(id)).toEqual({ refused: "act 1 (suspend root/x) is under way" });
  log.end(id, { undo: control("resume") });
  expect(log.all()[0]).toMatchObject({ done: true, undo: { path: "/api/actors/root%2Fx/resume" } });
  expect(log.undoing(id)).toEqual({ command: control("resume") });
  log.undone(id, "2");
  expect(log.undoing(id)).toEqual({ refused: "act 1 was taken back by act 2" });
  // That act failed.
  log.undone(id, undefined);
  expect(log.undoing(id)).toEqual({ command: control("resume") });
  log.begin(control("kill"), "127.0.0.1");
  log.end("2", { error: "there is no process" });
  expect(log.all()[0]).toMatchObject({ done: false, error: "there is no process", undo: null });
  expect(log.undoing("2")).toEqual({ refused: "act 2 (kill root/x) cannot be taken back" });
});

test("workers that are away for good are left out of what takes their adding back", () => {
  const log = new ActLog(() => 0);
  const added: Command = { kind: "retire", workers: ["worker-2", "worker-3"] };
  const { id } = log.begin(control("suspend"), "127.0.0.1");
  log.end(id, { undo: added });
  log.retired(["worker-2", "worker-9"]);
  const left = { kind: "retire", workers: ["worker-3"] } as const;
  expect(log.undoing(id)).toEqual({ command: left });
  expect(log.all()[0]?.undo?.path).toBe("/api/workers/worker-3");
  // Taken back just now, by the act that tells of it.
  log.undone(id, "…");
  log.retired(["worker-3"]);
  expect(log.all()[0]).toMatchObject({ undone_by: "…", undo: { path: "/api/workers/worker-3" } });
  log.undone(id, undefined);
  log.retired(["worker-3"]);
  expect(log.all()[0]?.undo).toBeNull();
  expect(log.undoing(id)).toEqual({ refused: "act 1 (suspend root/x) cannot be taken back" });
});

test("the last 200 are kept, newest first", () => {
  const log = new ActLog(() => 0);
  const versions = new Set<number>();
  for (let i = 0; i < 250; i++) {
    log.end(log.begin(control("kill"), "").id, {});
    versions.add(log.version);
  }
  expect(log.all().length).toBe(200);
  expect([log.all()[0]?.id, log.all().at(-1)?.id]).toEqual(["250", "51"]);
  expect(log.undoing("50")).toEqual({ refused: "there is no act 50 among the last 200" });
  expect(versions.size).toBe(250);
});

test("bodies that are no command say what is", () => {
  const wrong = (read: object) => ("wrong" in read ? `${read.wrong}` : "");
  expect(readAdd({})).toMatchObject({ command: { count: 1, model: "", role: undefined } });
  expect(readAdd({ role: "decode", count: 3, ready_s: 60 })).toMatchObject({
    command: { role: "decode", count: 3, ready_s: 60 },
  });
  for (const count of [0, 1.5, 257, "2", null]) expect(wrong(readAdd({ count }))).toContain("256");
  expect(wrong(readAdd({ role: "worker" }))).toContain("aggregated, prefill, decode");
  expect(wrong(readAdd({ models: "m" }))).toContain('no field "models"');
  expect(wrong(readAdd({ ready_s: -1 }))).toContain("ready_s");
  expect(wrong(readRetire({}))).toContain('{"workers": ["worker-1"]}');
  expect(wrong(readRetire({ workers: [1] }))).not.toBe("");
  expect(wrong(readWeights({ weights: [1] }))).toContain("weights");
  expect(wrong(readWeights({ weights: { a: "1" } }))).toContain("a is a number");
  expect(readFault("root/x", { fault: "kill9" })).toMatchObject({ command: { fault: "kill9" } });
  for (const seconds of [0, -1, 61, "1", undefined]) {
    expect(wrong(readFault("root/x", { fault: "freeze", seconds }))).toContain("up to 60");
  }
  expect(wrong(readFault("root/x", { fault: "melt" }))).toContain("freeze");
});
