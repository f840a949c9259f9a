/**
 * `bun run e2e:python [--model SOURCE] [--only NAME,…] [--torch]`: Python's clients of OpenAI's and
 * Anthropic's APIs, and what is built on them, against a real cluster with the bundled model or
 * with `--model`. Not part of `bun run check`: it installs a gigabyte once, into virtual
 * environments that are kept in the cache folder and named by what is pinned.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cacheFolder } from "../../../native/build.ts";
import { startCluster } from "../../support/cluster.ts";

type Client = { readonly name: string; readonly packages: "clients" | "aiperf" };

const CLIENTS: readonly Client[] = [
  { name: "openai", packages: "clients" },
  { name: "anthropic", packages: "clients" },
  { name: "litellm", packages: "clients" },
  { name: "agents_page", packages: "clients" },
  { name: "lm_eval", packages: "clients" },
  { name: "aiperf", packages: "aiperf" },
  { name: "kserve", packages: "aiperf" },
];
/** Of one client's checks together. */
const CLIENT_TIMEOUT_MS = 900_000;
/** A model may have to be downloaded. */
const START_TIMEOUT_MS = 600_000;

const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
const KSERVE_PORT = `${listener.port}`;
listener.stop(true);

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    only: { type: "string" },
    torch: { type: "boolean", default: false },
  },
});

async function command(...words: readonly string[]): Promise<void> {
  const child = Bun.spawn([...words], { stdout: "inherit", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")} failed`);
}

/** The Python of an environment with these packages, made when it is not there yet. */
async function pythonWith(packages: string): Promise<string> {
  const list = join(import.meta.dir, "requirements", `${packages}.txt`);
  const texts = packages === "torch" ? [list, join(list, "../clients.txt")] : [list];
  const pinned = createHash("sha256").update(texts.map((path) => readFileSync(path)).join("\n"));
  const folder = join(cacheFolder(), "python", `${packages}-${pinned.digest("hex").slice(0, 12)}`);
  const python = join(folder, "bin", "python");
  const done = join(folder, "complete");
  if (existsSync(done)) return python;
  const system = Bun.which("python3");
  if (system === null) throw new Error("python3 is not installed (apt-get install python3-venv)");
  console.log(`installing ${list} into ${folder}`);
  await command(system, "-m", "venv", "--clear", folder);
  await command(python, "-m", "pip", "install", "--quiet", "-r", list);
  await Bun.write(done, "");
  return python;
}

type Outcome = {
  readonly name: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failed: number;
};

async function runClient({ name, packages }: Client, url: string, model: string): Promise<Outcome> {
  const python = await pythonWith(packages === "clients" && values.torch ? "torch" : packages);
  console.log(`\n${name}`);
  const script = join(import.meta.dir, "clients", `${name}_client.py`);
  const child = Bun.spawn([python, script, url, model], {
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, KSERVE_PORT, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "ignore" },
    timeout: CLIENT_TIMEOUT_MS,
  });
  let text = "";
  for await (const bytes of child.stdout) {
    process.stdout.write(bytes);
    text += new TextDecoder().decode(bytes);
  }
  const count = (word: string) => text.match(new RegExp(`^ {2}${word} +\\w`, "gm"))?.length ?? 0;
  const failed = count("FAILED");
  // A script that ends without a word has failed too.
  const broken = (await child.exited) !== 0 && failed === 0;
  return {
    name,
    passed: count("passed"),
    skipped: count("SKIPPED"),
    failed: failed + Number(broken),
  };
}

const wanted = values.only?.split(",");
const chosen = CLIENTS.filter(({ name }) => wanted === undefined || wanted.includes(name));
const args = values.model === undefined ? [] : ["--model", values.model];
const outcomes: Outcome[] = [];
{
  const flags = [...args, "--kserve-grpc-port", KSERVE_PORT];
  await using cluster = await startCluster(flags, { timeout_ms: START_TIMEOUT_MS });
  const models = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
    data: { id: string }[];
  };
  const model = models.data[0]?.id ?? "";
  for (const client of chosen) outcomes.push(await runClient(client, cluster.url, model));
}

console.log(`\nagainst ${values.model ?? "the bundled model"}:`);
for (const { name, passed, skipped, failed } of outcomes) {
  const word = failed > 0 ? "FAILED " : "passed ";
  console.log(`${word} ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
}
const sum = (key: "passed" | "failed" | "skipped") =>
  outcomes.reduce((n, each) => n + each[key], 0);
console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exit(sum("failed") > 0 || outcomes.length === 0 ? 1 : 0);
