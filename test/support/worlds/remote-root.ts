/**
 * A root process for the orphan tests: spawns the test child, which starts a grandchild of its own,
 * prints the three process ids, and stays until it is killed.
 */
import { ProcessActor } from "../../../runtime/process/spawn.ts";
import { joinUnix } from "./remote-child.ts";

const [listen, child] = process.argv.slice(2);
const { system } = await joinUnix("root", listen);
const ref = await system.spawnReady(
  () =>
    new ProcessActor({
      node: "child",
      command: [process.execPath, child as string],
      env: {
        TEST_GRANDCHILD: "1",
        ...(process.env["TEST_NO_FLAG"] === "1" ? { BUN_FEATURE_FLAG_NO_ORPHANS: "0" } : {}),
      },
      ready_timeout_ms: 10_000,
      stop_budget_ms: 1_000,
      onLine: (line) => {
        if (line.startsWith("grandchild ")) console.log(line);
      },
    }),
  { name: "child" },
);
const { pid } = await system.ask(ref, { kind: "process_main" }, { deadline_ms: 2_000 });
console.log(`root ${process.pid}`);
console.log(`child ${pid}`);
