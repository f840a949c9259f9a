import { expect, test } from "bun:test";
import fc from "fast-check";
import { movedPaths } from "../../../actors/frontend/flags.ts";
import { DEFAULT_OBJECTIVE } from "../../../actors/router/router.ts";
import { dumpConfig } from "../../../cluster/settings/dump-config.ts";
import { flags, helpText } from "../../../cluster/settings/flags.ts";
import {
  parseConfig,
  parseEnvironment,
  parseFlags,
} from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";
import { marksByWorker } from "../../../cluster/settings/workers/worker-marks.ts";

const fromFlags = (...args: string[]) => settle([parseFlags(args)], []);
const complaint = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  return "";
};

test("defaults are those of the contract", () => {
  const settings = fromFlags();
  expect(settings).toMatchObject({
    frontend: { host: "127.0.0.1", port: 8000 },
    engine: { name: "llama" },
    workers: [{ role: "aggregated", count: 1 }],
    frontends: 1,
    router: { mode: "kv", policy: "adaptive", queue_threshold: -1, session_ttl_ms: 0 },
    drain_timeout_ms: 30_000,
    log_level: "info",
    inspector: { port: 8001 },
    models: [{ source: "" }],
  });
});

test("4,096 workers may be asked for, and share processes unless their engine is a real one", () => {
  const shared = ["--workers-per-process", "512"];
  for (const engine of ["mocker", "echo"]) {
    const settings = fromFlags("--engine", engine, "--workers", "4096", ...shared);
    expect(settings.workers).toEqual([{ role: "aggregated", count: 4_096 }]);
    expect(settings.engine.workers_per_process).toBe(512);
  }
  expect(complaint(() => fromFlags("--workers", "4097"))).toContain("from 1 to 4096");
  expect(complaint(() => fromFlags(...shared))).toContain("is for --engine mocker or echo");
});

test("a flag wins over the environment, that over YAML, that over the default", () => {
  const yaml = parseConfig("port: 1\nworkers: 2\nfrontends: 3\n", "c.yaml");
  const env = parseEnvironment({ TROUPE_PORT: "4", DYN_HTTP_PORT: "5", TROUPE_WORKERS: "6" });
  const settings = settle([parseFlags(["--port", "7"]), env, yaml], []);
  expect([settings.frontend.port, settings.frontends]).toEqual([7, 3]);
  expect(settings.workers).toEqual([{ role: "aggregated", count: 6 }]);
});

test("Dynamo's environment names are read, ours first", () => {
  expect(settle([parseEnvironment({ DYN_HTTP_PORT: "9001" })], []).frontend.port).toBe(9001);
  const both = parseEnvironment({ DYN_HTTP_PORT: "9001", TROUPE_PORT: "9002" });
  expect(settle([both], []).frontend.port).toBe(9002);
  expect(settle([parseEnvironment({ DYN_LOG: "info,hyper=warn" })], []).log_level).toBe("info");
});

test("the router's objective comes from a flag, its twin or YAML, and is written as it is read", () => {
  const { router } = fromFlags();
  expect(router.objective).toBe(DEFAULT_OBJECTIVE);
  expect(fromFlags("--router-objective", "ttft").router.objective).toBe("ttft");
  const twin = parseEnvironment({ TROUPE_ROUTER_OBJECTIVE: "e2e" });
  expect(settle([twin], []).router.objective).toBe("e2e");
  const yaml = parseConfig("router-objective: ttft", "a.yaml");
  expect(settle([yaml], []).router.objective).toBe("ttft");
  const dumped = dumpConfig(fromFlags("--router-objective", "e2e"));
  expect(settle([parseConfig(dumped, "dump.yaml")], []).router.objective).toBe("e2e");
  expect(() => fromFlags("--router-objective", "speed")).toThrow(/ttft, e2e, goodput/);
});

test("policy classes are read, and written as they are read", () => {
  const flags = ["--router-policy-class", "chat:4", "--router-policy-class", "batch:0.5:200"];
  const { router } = fromFlags(...flags);
  expect(router.classes).toEqual([
    { name: "chat", weight: 4 },
    { name: "batch", weight: 0.5, requests_max: 200 },
  ]);
  const again = settle([parseConfig(dumpConfig(fromFlags(...flags)), "dump.yaml")], []);
  expect(again.router).toEqual(router);
});

test("labels and taints are for all workers or for one, and written as they are read", () => {
  const flags = ["--workers", "2", "--worker-label", "gpu=h100"];
  const settings = fromFlags(...flags, "--worker-taint", "worker-1:batch", "--worker-taint", "x");
  expect(settings.worker_labels).toEqual([{ mark: "gpu=h100" }]);
  expect(marksByWorker(settings.worker_taints, ["m.worker-0", "m.worker-1"], "m.")).toEqual({
    "m.worker-0": ["x"],
    "m.worker-1": ["batch", "x"],
  });
  expect(marksByWorker(settings.worker_labels, ["worker-0"], "")).toEqual({
    "worker-0": ["gpu=h100"],
  });
  const again = settle([parseConfig(dumpConfig(settings), "dump.yaml")], []);
  expect([again.worker_labels, again.worker_taints]).toEqual([
    settings.worker_labels,
    settings.worker_taints,
  ]);
  const env = settle([parseEnvironment({ TROUPE_WORKER_TAINT: "a, b" })], []);
  expect(env.worker_taints).toEqual([{ mark: "a" }, { mark: "b" }]);
});

test("workers for prompts and for answers come together, and are named after what they do", () => {
  const flags = ["--prefill", "2", "--decode", "1", "--worker-label", "prefill-1:big"];
  const settings = fromFlags(...flags);
  const counts = [
    { role: "prefill", count: 2 },
    { role: "decode", count: 1 },
  ] as const;
  expect(settings.workers).toEqual(counts);
  expect(settings.worker_labels).toEqual([{ worker: "prefill-1", mark: "big" }]);
  const again = settle([parseConfig(dumpConfig(settings), "dump.yaml")], []);
  expect([again.workers, again.worker_labels]).toEqual([counts, settings.worker_labels]);
});

test("a machine may add workers of one role alone", () => {
  const planes = ["--nats", "nats://h", "--redis", "redis://h"];
  const settings = fromFlags(...planes, "--role", "decode", "--workers", "3");
  expect(settings.workers).toEqual([{ role: "decode", count: 3 }]);
  const again = settle([parseConfig(dumpConfig(settings), "dump.yaml")], []);
  expect(again.workers).toEqual(settings.workers);
  const both = () => fromFlags(...planes, "--role", "decode", "--decode", "3", "--prefill", "1");
  expect(complaint(both)).toMatch(/--role decode has workers of one kind/);
});

const bad: readonly (readonly [string[], RegExp])[] = [
  [["--prot", "1"], /unknown flag --prot; did you mean --port\?/],
  [["--router-policy-class", "chat"], /--router-policy-class chat: use NAME:WEIGHT/],
  [["--router-policy-class", "chat:0"], /--router-policy-class chat:0: use NAME:WEIGHT/],
  [
    ["--router-policy-class", "a:1", "--router-policy-class", "a:2"],
    /--router-policy-class: a is there twice/,
  ],
  [["--worker-taint", "two words"], /--worker-taint "two words" is not LABEL or worker-N:LABEL/],
  [["--worker-label", ""], /--worker-label is empty: give it a value/],
  [["--worker-label", "worker-0:"], /--worker-label "worker-0:" is not LABEL/],
  [["--worker-taint", "worker-1:x"], /--worker-taint: there is no worker-1 among --workers 1/],
  [["--prefill", "1"], /--prefill needs --decode too/],
  [["--decode", "1"], /--decode needs --prefill too/],
  [["--prefill", "1", "--decode", "1", "--workers", "2"], /exclude each other/],
  [
    ["--prefill", "1", "--decode", "1", "--worker-taint", "prefill-1:x"],
    /there is no prefill-1 among --prefill 1 --decode 1/,
  ],
  [["serve"], /"serve" is not a flag; see --help/],
  [["--port"], /--port needs a value/],
  [["--port", "70000"], /--port is a whole number from 0 to 65535, not "70000"/],
  [["--port", ""], /--port is empty: give it a value, or leave it out/],
  [["--model", "name="], /--model name= names no source/],
  [["--workers", "1.5"], /--workers is a whole number/],
  [["--engine", "vllm"], /--engine is one of llama, echo, mocker, not "vllm"/],
  [["--dump-config=maybe"], /switch: give true or false/],
  [["--model", "a.gguf", "--model", "b.gguf"], /several models need names: --model name=a.gguf/],
  [["--model", "x=a.gguf", "--model", "x=b.gguf"], /two models are named "x"/],
  [["--model", "a=1", "--model", "b=2", "--model-name", "c"], /names one model/],
];
for (const [args, message] of bad) {
  test(`refuses ${args.join(" ")}`, () => {
    expect(complaint(() => fromFlags(...args))).toMatch(message);
  });
}

test("models: path, named, hub reference with a colon, path with an equals sign", () => {
  expect(fromFlags("--model", "hf:org/repo:Q4_K_M").models).toEqual([
    { source: "hf:org/repo:Q4_K_M" },
  ]);
  expect(fromFlags("--model", "tiny=a.gguf", "--model", "big=hf:o/r").models).toEqual([
    { name: "tiny", source: "a.gguf" },
    { name: "big", source: "hf:o/r" },
  ]);
  expect(fromFlags("--model", "./odd=name.gguf").models).toEqual([{ source: "./odd=name.gguf" }]);
  expect(fromFlags("--model-name", "chat").models).toEqual([{ source: "", name: "chat" }]);
});

test("YAML: unknown keys, wrong shapes and broken text are told with the file's name", () => {
  expect(complaint(() => parseConfig("prot: 1", "c.yaml"))).toBe(
    'c.yaml: unknown setting "prot"; did you mean port?',
  );
  expect(complaint(() => parseConfig("- 1", "c.yaml"))).toMatch(/c.yaml must be a YAML mapping/);
  expect(complaint(() => parseConfig("port: [1, 2]", "c.yaml"))).toMatch(/takes one value/);
  expect(complaint(() => parseConfig("a: [", "c.yaml"))).toMatch(/c.yaml is not valid YAML/);
  for (const line of ["config: other.yaml", "help: true", "version: false", "config:"]) {
    const name = line.slice(0, line.indexOf(":"));
    expect(complaint(() => parseConfig(line, "c.yaml"))).toBe(
      `c.yaml: ${name} is for the command line: leave it out of the file`,
    );
  }
});

test("a dumped configuration reads back as the same settings", () => {
  fc.assert(
    fc.property(
      fc.record({
        port: fc.integer({ min: 0, max: 65535 }),
        workers: fc.integer({ min: 1, max: 256 }),
        drain: fc.integer({ min: 0, max: 3600 }),
        mode: fc.constantFrom("least-loaded", "round-robin", "random", "power-of-two", "direct"),
        name: fc.constantFrom("", "chat"),
        ignore: fc.boolean(),
      }),
      ({ port, workers, drain, mode, name, ignore }) => {
        const args = [
          "--port",
          `${port}`,
          "--workers",
          `${workers}`,
          "--drain-timeout",
          `${drain}`,
        ];
        if (name !== "") args.push("--model", `${name}=m.gguf`);
        if (ignore) args.push("--ignore-unknown-fields");
        const settings = fromFlags(...args, "--router-mode", mode);
        expect(settle([parseConfig(dumpConfig(settings), "dump")], [])).toEqual(settings);
      },
    ),
  );
});

test("keys are not shown by --dump-config", () => {
  const settings = settle([parseFlags(["--api-key", "sk-secret"])], ["sk-file"]);
  expect(settings.frontend.api_keys).toEqual(["sk-secret", "sk-file"]);
  expect(dumpConfig(settings)).not.toMatch(/sk-(secret|file)/);
});

test("help names every flag", () => {
  const help = helpText();
  for (const flag of flags) expect(help).toContain(`--${flag.name}`);
});

test("an origin or a name that no request can have is refused, with what to give", () => {
  const origins = ["foo", "*,none", "none,https://a", "http://a/b", "https://*.a", "http://a:80"];
  for (const origin of [...origins, "https://a?x", "https://u@a", "file://", "https://bücher.de"]) {
    const said = complaint(() => fromFlags("--cors-origin", origin));
    expect([origin, said]).toEqual([origin, expect.stringMatching(/^--cors-origin[^\n]+$/)]);
  }
  expect(complaint(() => fromFlags("--cors-origin", "http://a/b"))).toContain("as http://a");
  for (const origin of ["auto", "*", "none", "local, https://a.example/", "http://[::1]:3000"]) {
    expect(fromFlags("--cors-origin", origin).frontend.cors_origin).toBe(origin);
  }
  for (const origin of ["auto,https://A.example", "chrome-extension://abc", "null"]) {
    expect(fromFlags("--cors-origin", origin).frontend.cors_origin).toBe(origin);
  }
  for (const name of ["*", "http://x", "a/b", "a b", "a,b", "*.lan", "[::1"]) {
    const said = complaint(() => fromFlags("--inspector-allow-host", name));
    expect([name, said]).toEqual([name, expect.stringContaining("--inspector-allow-host: ")]);
  }
  for (const name of ["gpu-1.lan", "gpu1:8001", "10.0.0.1", "2001:db8::7", "[::1]:80"]) {
    expect(fromFlags("--inspector-allow-host", name).inspector.allow_hosts).toEqual([name]);
  }
});

test("two doors at one port are told by both flags", () => {
  const both = "--port and --inspector-port both name port 8123: give one of them another";
  const ports = ["--port", "8123", "--inspector-port", "8123"];
  expect(complaint(() => fromFlags(...ports))).toBe(both);
  expect(complaint(() => fromFlags(...ports, "--host", "0.0.0.0"))).toBe(both);
  expect(complaint(() => fromFlags(...ports, "--host", "127.0.0.2"))).toBe("");
  expect(complaint(() => fromFlags("--port", "0", "--inspector-port", "0"))).toBe("");
  expect(complaint(() => fromFlags("--port", "8001"))).toContain("both name port 8001");
});

test("routes may be elsewhere, each at a path of its own", () => {
  const dynamo = { DYN_HTTP_SVC_CHAT_PATH: "/chat", DYN_HTTP_SVC_MODELS_PATH: "/v2/models" };
  const { frontend } = settle([parseFlags(["--live-path", "/up"]), parseEnvironment(dynamo)], []);
  expect(movedPaths(frontend)).toEqual({
    ...{ "/v1/chat/completions": "/chat", "/v1/models": "/v2/models", "/live": "/up" },
  });
  expect(movedPaths(fromFlags().frontend)).toEqual({});
  const swapped = ["--health-path", "/live", "--live-path", "/health"];
  expect(complaint(() => fromFlags(...swapped))).toBe("");
  for (const odd of ["up", "/", "//", "/up/", "/a b", "/a?b", "/{id}", "/é", "http://h/up"]) {
    const said = complaint(() => fromFlags("--live-path", odd));
    expect([odd, said]).toEqual([
      odd,
      expect.stringMatching(/^--live-path \(DYN_HTTP_SVC_LIVE_PATH\): "/),
    ]);
  }
  const clashes = [
    ["--live-path", "/health"],
    ["--chat-path", "/tokenize"],
    ["--metrics-path", "/docs"],
    ["--models-path", "/v1/streams"],
    ["--embeddings-path", "/v1/completions"],
  ] as const;
  for (const [flag, path] of clashes) {
    const said = complaint(() => fromFlags(flag, path));
    expect([flag, said]).toEqual([
      flag,
      expect.stringMatching(new RegExp(`^${flag} .*both be at`)),
    ]);
  }
});

test("the inspector's status routes may be elsewhere, by Dynamo's names too", () => {
  const dynamo = { DYN_SYSTEM_HEALTH_PATH: "/up/ready", DYN_SYSTEM_LIVE_PATH: "/up/live" };
  expect(settle([parseEnvironment(dynamo)], []).inspector).toMatchObject({
    ...{ health_path: "/up/ready", live_path: "/up/live" },
  });
  expect(settle([parseEnvironment({ DYN_SYSTEM_HOST: "::1" })], []).inspector.host).toBe("::1");
  expect(complaint(() => fromFlags("--inspector-health-path", "up"))).toStartWith(
    '--inspector-health-path (DYN_SYSTEM_HEALTH_PATH): "up" is no path',
  );
});

test("the address at which other machines read blocks is an address alone", () => {
  for (const address of ["10.0.0.5", "fe80::5", "node-3.example"]) {
    expect(fromFlags("--kv-address", address).kv.address).toBe(address);
  }
  for (const odd of ["10.0.0.5:7000", "tcp:10.0.0.5", "http://node", "[::1]", "a b"]) {
    const said = complaint(() => fromFlags("--kv-address", odd));
    expect(said).toMatch(/^--kv-address ".*" is no address alone/);
  }
});

test("a store of blocks needs several machines and memory in front of it", () => {
  const many = ["--nats", "nats://bus", "--redis", "redis://names"];
  const { kv } = fromFlags(...many, "--kv-host-bytes", "1GB", "--kv-store", "nats");
  expect(kv).toMatchObject({ store: "nats", store_bytes: 1024 ** 3, store_ttl_ms: 86_400_000 });
  const needs = "--kv-store redis needs --nats and --redis, and --kv-host-bytes: machines share it";
  for (const given of [many, ["--kv-host-bytes", "1GB"]]) {
    expect(complaint(() => fromFlags(...given, "--kv-store", "redis"))).toStartWith(needs);
  }
  const small = [...many, "--kv-host-bytes", "1GB", "--kv-store", "redis"];
  expect(complaint(() => fromFlags(...small, "--kv-store-bytes", "1000"))).toBe(
    "--kv-store-bytes 1000 is less than a block takes",
  );
});
