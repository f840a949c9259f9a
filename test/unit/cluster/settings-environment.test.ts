/** Misspelled `TROUPE_*` names are told; those of Kubernetes and of the program itself are not. */
import { expect, test } from "bun:test";
import { Glob } from "bun";
import { mockerFlags } from "../../../actors/engine/mocker/flags.ts";
import { pathFlags } from "../../../actors/frontend/flags.ts";
import { internalNames } from "../../../cluster/settings/environment-names.ts";
import { environmentTwin, flags } from "../../../cluster/settings/flags.ts";
import { readSettings } from "../../../cluster/settings/read-settings.ts";
import type { Flag } from "../../../runtime/setting.ts";

function start(env: Record<string, string>, args: string[] = []) {
  const command = readSettings(args, env, "test", () => "");
  if (command.kind !== "run") throw new Error("it only printed");
  return command;
}
const warnings = (env: Record<string, string>, args: string[] = []) => start(env, args).warnings;

const misspelled = [
  ["TROUPE_PORTT", "TROUPE_PORT"],
  ["TROUPE_API_KEYS", "TROUPE_API_KEY"],
  ["TROUPE_APIKEY", "TROUPE_API_KEY"],
  ["TROUPE_API_KEYS_FILE", "TROUPE_API_KEY_FILE"],
  ["TROUPE_MODELS", "TROUPE_MODEL"],
  ["TROUPE_MAX_SEQS", "TROUPE_MAX_NUM_SEQS"],
  ["TROUPE_INSPECTR_PORT", "TROUPE_INSPECTOR_PORT"],
  ["TROUPE_SESSION_AFFINITY_TTL_SECS", "TROUPE_ROUTER_SESSION_AFFINITY_TTL_SECS"],
] as const;

test.each(misspelled)("%s: did you mean %s?", (name, near) => {
  const [line, ...more] = warnings({ [name]: "1" });
  expect(more).toEqual([]);
  expect(line).toStartWith(`${name} is not a setting and does nothing; did you mean ${near}?`);
});

test("one that resembles nothing is told too, also when it is empty", () => {
  expect(warnings({ TROUPE_COLOUR: "red", TROUPE_ZEBRA: "" })).toEqual([
    "TROUPE_COLOUR is not a setting and does nothing; --help lists the settings",
    "TROUPE_ZEBRA is not a setting and does nothing; --help lists the settings",
  ]);
});

test("a misspelled key says that the server is open, unless it is not", () => {
  expect(warnings({ TROUPE_API_KEYS: "x" })[0]).toContain("Everybody may use /v1 without a key");
  expect(warnings({ TROUPE_API_KEYS: "x" }, ["--api-key", "y"])[0]).not.toContain("Everybody");
});

test("an objective beside Dynamo's policy does nothing, and this is told", () => {
  const line = (args: string) => warnings({}, args.split(" "));
  const told = /^--router-objective does nothing beside --router-policy dynamo, .* leave it out/;
  expect(line("--router-policy dynamo --router-objective ttft")[0]).toMatch(told);
  expect(warnings({ TROUPE_ROUTER_OBJECTIVE: "e2e" }, ["--router-policy", "dynamo"])).toHaveLength(
    1,
  );
  expect(line("--router-policy dynamo")).toEqual([]);
  expect(line("--router-objective ttft")).toEqual([]);
  const dump = readSettings(["--router-policy", "dynamo", "--dump-config"], {}, "test", () => "");
  expect(dump).toMatchObject({ kind: "print", text: expect.not.stringContaining("objective") });
});

test("help and version are asked for on the command line alone", () => {
  const told = (name: string) =>
    `${name} is not a setting and does nothing; --help lists the settings`;
  for (const name of ["TROUPE_HELP", "TROUPE_VERSION"]) {
    for (const value of ["1", "true", "", "what"]) {
      expect(warnings({ [name]: value })).toEqual([told(name)]);
    }
  }
});

test("settings, other programs' names and our own are quiet", () => {
  const quiet = { PATH: "/bin", TROUPE: "1", DYN_HTTP_PORTT: "1", TROUPE_FAULTS: "{}" };
  expect(warnings({ ...quiet, TROUPE_BENCH_STREAMS: "8", TROUPE_CC: "bun" })).toEqual([]);
  for (const { name, type } of flags) {
    // What is recorded is told at every start.
    if (type === "text" && !["config", "request-template", "record"].includes(name)) {
      const other = { nats: "TROUPE_REDIS", redis: "TROUPE_NATS" }[name as string];
      // Their files are read and have to be right.
      const read = ["api-key-file", "tls-cert-path", "tls-key-path"].includes(name);
      if (other === undefined && !read) {
        const moved = Object.values<Flag>(pathFlags).some((flag) => flag.name === name);
        const path = moved || /^inspector-.*-path$/.test(name);
        const forms: Record<string, string> = {
          "cors-origin": "https://x",
          "aic-nextn-accept-rates": "0.5",
        };
        const value = forms[name] ?? (path ? "/x" : "xxxxxxxx");
        const mockers = Object.values<Flag>(mockerFlags).some((flag) => flag.name === name);
        const engine = mockers ? "mocker" : "llama";
        const guesses: Record<string, string> = mockers ? { TROUPE_AIC_NEXTN: "1" } : {};
        const env = { [environmentTwin(name)]: value, TROUPE_ENGINE: engine, ...guesses };
        expect(warnings(env)).toEqual([]);
      }
    }
  }
});

/** As Kubernetes writes them for a service on port 8000 of the name. */
const serviceLinks = (service: string) => ({
  [`${service}_SERVICE_HOST`]: "10.0.0.1",
  [`${service}_SERVICE_PORT`]: "8000",
  [`${service}_SERVICE_PORT_HTTP`]: "8000",
  [`${service}_PORT`]: "tcp://10.0.0.1:8000",
  [`${service}_PORT_8000_TCP`]: "tcp://10.0.0.1:8000",
  [`${service}_PORT_8000_TCP_PROTO`]: "tcp",
  [`${service}_PORT_8000_TCP_PORT`]: "8000",
  [`${service}_PORT_8000_TCP_ADDR`]: "10.0.0.1",
});

test("Kubernetes' variables of services are no settings", () => {
  expect(warnings(serviceLinks("TROUPE_FRONTEND"))).toEqual([]);
  const own = start({ ...serviceLinks("TROUPE"), DYN_HTTP_PORT: "9000" });
  expect(own.settings.frontend.port).toBe(9000);
  expect(own.warnings).toHaveLength(1);
  expect(own.warnings[0]).toMatch(/^TROUPE_PORT=tcp:\/\/10\.0\.0\.1:8000 is what Kubernetes sets/);
  const inspector = start(serviceLinks("TROUPE_INSPECTOR"));
  expect(inspector.settings.inspector.port).toBe(8001);
  expect(inspector.warnings[0]).toStartWith("TROUPE_INSPECTOR_PORT=tcp:");
  // What is no URL was written by a person.
  expect(warnings({ TROUPE_WEB_PORT: "8000" })).toHaveLength(1);
});

test("every name that the program, its tests and its benchmarks read is known", async () => {
  const root = `${import.meta.dir}/../../..`;
  const twins = new Set<string>(flags.map(({ name }) => environmentTwin(name)));
  const unknown: string[] = [];
  let seen = 0;
  for await (const path of new Glob("**/*.ts").scan({ cwd: root })) {
    if (path.startsWith("node_modules/") || path.startsWith("test/unit/cluster/settings")) continue;
    const text = await Bun.file(`${root}/${path}`).text();
    for (const [, name = ""] of text.matchAll(/(?:env\.|["'])(TROUPE_[A-Z0-9_]+)/g)) {
      seen += 1;
      if (twins.has(name) || internalNames.some((own) => own.test(name))) continue;
      unknown.push(`${path}: ${name}`);
    }
  }
  expect(unknown).toEqual([]);
  expect(seen).toBeGreaterThan(10);
});
