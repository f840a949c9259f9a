/** Every connector of a planner keeps the same promises; a new one joins by a line in `rigs`. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { redisKeys, storeKeys } from "../../actors/planner/connect/virtual-keys.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { MemoryStore } from "../../runtime/store/memory.ts";
import { SqliteStore } from "../../runtime/store/sqlite.ts";
import { until } from "../support/cluster.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { redisServer, stopServers } from "../support/plane-servers.ts";
import { type ConnectorRig, change, model, namesOf } from "../support/planner/connector-rig.ts";
import { graphs, kubernetesRig } from "../support/planner/fake-kubernetes.ts";
import { localRig } from "../support/planner/local-rig.ts";
import { virtualRig } from "../support/planner/virtual-rig.ts";

let made = 0;
const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "troupe-connector-"));
  folders.push(path);
  return path;
}

/** Each begins without a worker. */
const rigs: Record<string, () => ConnectorRig | Promise<ConnectorRig>> = {
  local: localRig,
  "virtual, over memory": () => virtualRig(storeKeys(new MemoryStore(), "test")),
  "virtual, over SQLite": () =>
    virtualRig(storeKeys(new SqliteStore(join(folder(), "store.sqlite")), "test")),
};

if (isHere(lacksProgram("redis-server"), "a virtual connector over a real redis-server")) {
  const { url } = await redisServer();
  const redis = redisClient({ url, client_name: "test", env: {} });
  await redis.ready(5_000);
  rigs["virtual, over a real redis-server"] = () => virtualRig(redisKeys(redis, `test${made++}`));
  afterAll(async () => {
    await redis.close();
    await stopServers();
  });
}
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true });
});

for (const [name, open] of Object.entries(graphs)) rigs[name] = () => kubernetesRig(open());

for (const [name, open] of Object.entries(rigs)) {
  describe(name, () => {
    const withRig = async (run: (rig: ConnectorRig) => Promise<void>): Promise<void> => {
      const rig = await open();
      try {
        await run(rig);
      } finally {
        await rig.stop();
      }
    };

    test("what is added serves, what is retired is gone, by role", () =>
      withRig(async ({ connector, obey }) => {
        obey();
        expect(await namesOf(connector)).toEqual([]);
        const added = await connector.add(change("a"), "decode", 2);
        expect(added.kind).toBe("added");
        const other = await connector.add(change("b"), "prefill", 1);
        expect(other.kind).toBe("added");
        expect(await namesOf(connector)).toHaveLength(3);
        expect([...added.workers, ...other.workers].sort()).toEqual(
          (await namesOf(connector)).sort(),
        );
        const view = await connector.view(model);
        expect(view?.workers.filter(({ role }) => role === "decode")).toHaveLength(2);
        const gone = await connector.retire(change("c"), added.workers.slice(1));
        expect(gone).toMatchObject({ kind: "gone", workers: added.workers.slice(1) });
        expect(await namesOf(connector)).toHaveLength(2);
      }));

    test("a change that is asked again is joined, at once and later, by another planner too", () =>
      withRig(async ({ connector, again, obey }) => {
        obey();
        const twice = await Promise.all([
          connector.add(change("a"), "decode", 2),
          connector.add(change("a"), "decode", 2),
        ]);
        expect(twice[1]).toEqual(twice[0]);
        expect(await connector.add(change("a"), "decode", 2)).toEqual(twice[0]);
        const restarted = again();
        expect(await restarted.add(change("a"), "decode", 2)).toEqual(twice[0]);
        expect(await namesOf(restarted)).toHaveLength(2);
        const [worker = ""] = twice[0].workers.slice(-1);
        await restarted.retire(change("b", 2), [worker]);
        await restarted.retire(change("b", 2), [worker]);
        expect(await namesOf(restarted)).toHaveLength(1);
      }));

    test("a planner that died while a change went on joins it, and it happens once", () =>
      withRig(async ({ connector, again, obey, ignore }) => {
        ignore();
        void connector.add(change("a"), "decode", 1);
        const restarted = again();
        await until("the change is begun", 10_000, async () => {
          return (await namesOf(restarted, "starting")).length === 1;
        });
        const joined = restarted.add(change("a"), "decode", 1);
        obey();
        expect((await joined).kind).toBe("added");
        expect(await namesOf(restarted)).toHaveLength(1);
      }));

    test("both roles asked in one turn change both", () =>
      withRig(async ({ connector, obey }) => {
        obey();
        const answers = await Promise.all([
          connector.add(change("a-1"), "prefill", 1),
          connector.add(change("a-2"), "decode", 2),
        ]);
        expect(answers.map(({ kind }) => kind)).toEqual(["added", "added"]);
        expect(await namesOf(connector)).toHaveLength(3);
      }));

    test("an older planner is refused, and nothing is begun", () =>
      withRig(async ({ connector, again, obey }) => {
        obey();
        await connector.add(change("a", 5), "decode", 1);
        const older = await again().add(change("b", 4), "decode", 1);
        expect(older.kind).toBe("refused");
        expect(await namesOf(connector)).toHaveLength(1);
      }));

    test("a worker that nobody has is not retired", () =>
      withRig(async ({ connector, obey }) => {
        obey();
        await connector.add(change("a"), "decode", 1);
        const answer = await connector.retire(change("b"), ["nobody"]);
        expect(answer.kind).not.toBe("gone");
        expect((answer as { why: string }).why).toContain("nobody");
        expect(await namesOf(connector)).toHaveLength(1);
      }));

    test("what does not start is told with its reason, and the next change goes on", () =>
      withRig(async ({ connector, obey, refuse }) => {
        obey();
        await connector.add(change("a"), "decode", 1);
        refuse("no machine has a free GPU");
        const answer = await connector.add(change("b"), "decode", 1);
        expect(answer).toEqual({
          ...{ kind: "failed", workers: [] },
          why: expect.stringContaining("no machine has a free GPU"),
        });
        expect(await namesOf(connector)).toHaveLength(1);
        obey();
        expect((await connector.add(change("c"), "decode", 1)).kind).toBe("added");
        expect(await namesOf(connector)).toHaveLength(2);
      }));

    test("workers that start are taken back, though the change that wants them goes on", () =>
      withRig(async ({ connector, obey, ignore }) => {
        obey();
        await connector.add(change("a"), "decode", 1);
        ignore();
        const adding = connector.add(change("b"), "decode", 1);
        let starting: string[] = [];
        await until("one starts", 10_000, async () => {
          starting = await namesOf(connector, "starting");
          return starting.length === 1;
        });
        const taking = connector.retire(change("c"), starting);
        await until("none starts any more", 10_000, async () => {
          return (await namesOf(connector, "starting")).length === 0;
        });
        obey();
        expect(await taking).toMatchObject({ kind: "gone", workers: starting });
        expect((await adding).kind).toBe("failed");
        expect(await namesOf(connector)).toHaveLength(1);
        expect(await namesOf(connector, "starting")).toEqual([]);
      }));

    test("workers change their role", () =>
      withRig(async ({ connector, obey }) => {
        obey();
        await connector.add(change("a"), "prefill", 1);
        const { workers } = await connector.add(change("b"), "decode", 2);
        const answer = await connector.changeRole(change("c"), workers.slice(1), "prefill");
        expect(answer.kind).toBe("added");
        const view = await connector.view(model);
        const roles = view?.workers.map(({ role }) => role).sort();
        expect(roles).toEqual(["decode", "prefill", "prefill"]);
      }));
  });
}
