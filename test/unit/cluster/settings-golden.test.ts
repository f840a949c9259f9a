/**
 * What people see of the settings, whoever declares them: --help, --dump-config and the names in
 * the environment, byte by byte. UPDATE_GOLDEN=1 writes the file anew.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { routerModes } from "../../../actors/router/router.ts";
import { environmentTwin, flags, helpText } from "../../../cluster/settings/flags.ts";
import { readSettings } from "../../../cluster/settings/read-settings.ts";

const GOLDEN = join(import.meta.dir, "settings-golden.txt");

const DUMPS = [
  "",
  "--engine echo",
  "--engine mocker",
  "--engine mocker --workers 4 --workers-per-process 2 --speedup-ratio 3 --drain-timeout 0.5",
  "--model-name x --chat-template chatml --api-key abc --cache-dir /tmp/models --worker-taint gpu",
  "--router-queue-policy fcfs --router-policy-class a:0.50 --router-session-affinity-ttl-secs 60",
  "--router-mode random",
  "--planner sla --ttft-ms 200 --max-workers 6",
  "--nats nats://u:p@h --redis redis://h --role worker --machine-name m",
];

function dumpOf(args: string): string {
  const words = args === "" ? [] : args.split(" ");
  const printed = readSettings([...words, "--dump-config"], {}, "test", () => "");
  return printed.kind === "print" ? printed.text : "it started";
}

test("help, environment and dumps are as they were", async () => {
  const twins = flags.map(({ name, env = [] }) => [environmentTwin(name), ...env].join(" "));
  const dumps = DUMPS.map((args) => `## --dump-config ${args}\n${dumpOf(args)}`);
  const text = [`## --help\n${helpText()}`, `## environment\n${twins.join("\n")}`, ...dumps].join(
    "\n\n",
  );
  if (process.env["UPDATE_GOLDEN"] === "1") await Bun.write(GOLDEN, text);
  expect(text).toBe(await Bun.file(GOLDEN).text());
});

test("every mode of the router can be asked for", () => {
  const mode = flags.find(({ name }) => name === "router-mode");
  if (mode?.type !== "choice") throw new Error("--router-mode is a choice");
  expect([...mode.choices].sort()).toEqual([...routerModes].sort());
});
