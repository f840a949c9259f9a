/**
 * Style as a test: the one-way import arrow, circles, what may touch the world, sizes, dead files.
 * The rules are tables at the top, so that a change of rule is a change of a table.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dir, "..");

/** room → rooms it may import, beside itself. `cluster.ts` may import all; nobody imports it. */
const arrow: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  runtime: ["proto"],
  llm: ["proto"],
  native: [],
  actors: ["proto", "runtime", "llm"],
  supervisors: ["proto", "runtime", "llm", "actors"],
  cluster: ["proto", "runtime", "llm", "actors", "supervisors"],
  deploy: ["native", "runtime"],
};

const otel = [
  ...["api", "resources", "sdk-metrics", "sdk-trace"],
  ...["exporter-metrics-otlp-proto", "exporter-trace-otlp-proto"],
].map((name) => `@opentelemetry/${name}`);

/** Packages by room: what is not named here may not be imported there. */
const packages: Readonly<Record<string, readonly string[]>> = {
  proto: [
    "protobufjs",
    "protobufjs-cli",
    "protobufjs/minimal",
    "protobufjs/minimal.js",
    "protobufjs-cli/pbjs",
  ],
  runtime: [
    "protobufjs/minimal.js",
    "hyperid",
    "pino",
    "bun:sqlite",
    "@nats-io/transport-node",
    "ioredis",
    "@grpc/grpc-js",
    ...otel,
  ],
  llm: ["@huggingface/tokenizers"],
  native: ["bun:ffi"],
  actors: ["zod", "yaml", "delaunator", "@mlc-ai/web-xgrammar"],
  supervisors: [],
  cluster: ["yaml"],
  deploy: [],
};

/** Node's modules that read or change the world; pure ones (`node:path`) are free to all. */
const pureNodeModules = ["node:path", "node:buffer", "node:util", "node:crypto", "node:assert"];

const bannedOutsideRuntime: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.|new Date\(\)/, "time comes from the clock capability"],
  [/\bperformance\./, "time comes from the clock capability"],
  [/\bMath\.random\b/, "randomness comes from the random capability"],
  [/\bcrypto\.(randomUUID|getRandomValues|randomBytes)\b/, "ids come from the ids capability"],
  [/\bset(Timeout|Interval|Immediate)\(/, "timers come from the clock capability"],
  [/\bqueueMicrotask\(/, "use clock.defer"],
  [/\bconsole\./, "log through the log capability"],
  [/\bprocess\.(?!env\.NODE_ENV)/, "the process belongs to runtime/real and cluster.ts"],
  [
    /\bBun\.(serve|spawn|spawnSync|file|write|connect|listen|sleep|nanoseconds|stdin|env)\b/,
    "use a capability",
  ],
  [/(?<![.#\w])fetch\(/, "use net.fetch"],
  [/new (WebSocket|Worker)\(/, "use a capability"],
];

/** Runs in a browser, which has a world of its own; nothing else imports it. */
const PAGE = "actors/inspector/page/";
const pagePackages = ["preact", "preact/hooks", "uplot", "uplot/dist/uPlot.min.css"];

/** Packages that read clocks or draw ids by themselves: in `runtime/real/` alone. */
const realOnly = [
  ...["hyperid", "pino", "@nats-io/transport-node", "ioredis", "@grpc/grpc-js", ...otel],
];

/** A file of more than `lines` says why in its head («Long because …»), up to `lines_max`. */
const limits = { lines: 400, lines_max: 600, test_lines: 700, columns: 100, floor: 20 };

/** Files outside the rules of a room, each with its reason. */
const exempt: Readonly<Record<string, string>> = {
  "proto/generate.ts": "a build script",
  "native/build.ts": "a build script",
  "native/index.ts": "the leaf that opens libraries",
  "native/kv/index.ts": "the leaf that opens libraries",
  "cluster.ts": "the one entry",
  "actors/engine/grammar/grammar-thread.ts": "the entry of a thread, which may sleep",
  "actors/engine/grammar/xgrammar.ts": "the library says on the console what is wrong",
  "cluster/parse.ts": "a command: reads standard input and a file",
  "cluster/keys/key.ts": "a command: draws a key or reads one",
  "cluster/top/top.ts": "a command: reads its flags and prints",
  "cluster/top/feed.ts": "a command's: reads a running cluster's inspector",
  "cluster/top/terminal.ts": "a command's: draws on the terminal",
  "cluster/recording/replay-envelopes.ts": "a command: reads a recording",
};

/** Files that import one another, types included, and why they may. All others form no circle. */
const circles: readonly { readonly files: readonly string[]; readonly why: string }[] = [
  {
    files: ["runtime/kernel/actor.ts", "runtime/kernel/context.ts"],
    why: "an actor has a context, and a context makes actors of actors: both are types alone",
  },
  {
    files: [
      "runtime/kernel/cell-context.ts",
      "runtime/kernel/cell-identity.ts",
      "runtime/kernel/cell.ts",
    ],
    why: "a cell, its base and its view: a cell's parent is a cell, and a cell makes its view",
  },
  {
    files: [
      "llm/template/compile/compile-loop.ts",
      "llm/template/compile/compile-macro.ts",
      "llm/template/compile/compile.ts",
    ],
    why: "statements hold loops and macros, whose bodies are statements",
  },
];

/** Where a reader starts: everything else must be reachable from here. */
const entries = [
  "cluster.ts",
  "actors/engine/grammar/grammar-thread.ts",
  `${PAGE}main.tsx`,
  "proto/generate.ts",
  "native/build.ts",
  // Which control tokens stay in an answer's text: the chat route comes next.
  "llm/parsers/parser-markers.ts",
  // Of other people's launchers.
  "actors/planner/connect/virtual-client.ts",
];

/** What starts a process → what it may not load, as this costs memory and time at each start. */
const loads: Readonly<Record<string, RegExp>> = {
  "cluster.ts": /^(actors\/(?!model\/model-error)|llm\/|supervisors\/|zod|yaml)/,
  "cluster/settings/read-settings.ts":
    /^(actors\/(frontend\/(frontend|api\/dialects)|(router|worker|stream)\/(?!flags|policy))|zod)/,
  "cluster/root.ts": /^(actors\/(frontend|router|worker|stream|batch|files)\/|zod|yaml|@mlc-ai)/,
  "cluster/roles/worker-role.ts":
    /^(actors\/(frontend|router|stream|batch|files|limits)\/|llm\/constraint\/|zod|yaml|@mlc-ai)/,
  "cluster/roles/router-role.ts":
    /^(actors\/(frontend|worker|stream|batch|files|engine|model)\/|llm\/template\/|zod|yaml)/,
  "cluster/roles/kv-role.ts":
    /^(actors\/(frontend|router|worker|stream|batch|files|engine|model)\/|llm\/template\/|zod|yaml)/,
  "cluster/roles/planner-role.ts":
    /^(actors\/(frontend|router|worker|stream|batch|files|engine|model)\/|llm\/template\/|@mlc-ai)/,
  "cluster/roles/frontend-role.ts": /^(actors\/(worker|engine|model)\/|yaml|@grpc|@mlc-ai)/,
};

type Source = { path: string; text: string; code: string; imports: string[] };

const tracked = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard"], { cwd: root })
  .stdout.toString()
  .split("\n")
  .filter((path) => path !== "");

const sources: Source[] = tracked
  .filter((path) => /\.tsx?$/.test(path) && !path.startsWith("proto/gen/"))
  .filter((path) => Bun.file(join(root, path)).size > 0)
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    const code = withoutComments(text);
    const found = code.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g);
    return { path, text, code, imports: [...found].map((match) => match[1] ?? "") };
  });
const product = sources.filter((source) => !source.path.startsWith("test/"));

function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|\s)\/\/[^\n]*/g, "$1");
}

const roomOf = (path: string) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : path);
const resolved = (from: string, target: string) => normalize(join(dirname(from), target));

test("there is something to check", () => {
  expect(product.length).toBeGreaterThan(20);
});

test("imports follow the one-way arrow", () => {
  const wrong: string[] = [];
  for (const { path, imports } of product) {
    const room = roomOf(path);
    if (exempt[path] === "the one entry") continue;
    for (const target of imports) {
      if (target.startsWith(".")) {
        const to = roomOf(resolved(path, target));
        const opensNative = to === "native" && /^actors\/(engine|kv)\//.test(path);
        if (to !== room && !opensNative && !arrow[room]?.includes(to)) {
          wrong.push(`${path} imports ${target}: ${room} may not import ${to}`);
        }
      } else if (target.startsWith("node:")) {
        const free = pureNodeModules.includes(target) || exempt[path];
        if (!free && !/^(runtime\/real|native|deploy)\//.test(path)) {
          wrong.push(`${path} imports ${target}: it reaches the world`);
        }
      } else if (realOnly.includes(target) && !path.startsWith("runtime/real/")) {
        wrong.push(`${path} imports package ${target}: it belongs to runtime/real`);
      } else if (path.startsWith(PAGE) && pagePackages.includes(target)) {
        // The page's own.
      } else if (!packages[room]?.includes(target) && room !== "deploy") {
        wrong.push(`${path} imports package ${target}: not listed for ${room}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("a role imports of another role only its face", () => {
  const wrong: string[] = [];
  for (const { path, imports } of product) {
    const role = /^actors\/([^/]+)\//.exec(path)?.[1];
    if (role === undefined) continue;
    for (const target of imports.filter((name) => name.startsWith("."))) {
      const other = /^actors\/([^/]+)\/(.+)$/.exec(resolved(path, target));
      if (other && other[1] !== role && other[2] !== `${other[1]}.ts`) {
        wrong.push(`${path} imports ${target}: only actors/${other[1]}/${other[1]}.ts is its face`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("circles of imports are those of this list", () => {
  const graph = new Map(
    product.map(({ path, imports }) => [
      path,
      imports.filter((to) => to.startsWith(".")).map((to) => resolved(path, to)),
    ]),
  );
  const listed = circles.map(({ files }) => files.toSorted().join(" ")).toSorted();
  expect(circlesOf(graph).toSorted()).toEqual(listed);
});

/** Files that reach one another, by Tarjan's algorithm; those of one circle as one text. */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const visit = (path: string): void => {
    const own = index.size;
    index.set(path, own);
    low.set(path, own);
    open.push(path);
    for (const to of graph.get(path) ?? []) {
      if (!graph.has(to)) continue;
      if (!index.has(to)) visit(to);
      else if (!open.includes(to)) continue;
      low.set(path, Math.min(low.get(path) ?? own, low.get(to) ?? own));
    }
    if (low.get(path) !== own) return;
    const circle = open.splice(open.indexOf(path));
    if (circle.length > 1) found.push(circle.toSorted().join(" "));
  };
  for (const path of graph.keys()) if (!index.has(path)) visit(path);
  return found;
}

test("each process loads what its role needs, and nothing of other roles", () => {
  for (const [entry, without] of Object.entries(loads)) {
    const loaded = loadedBy(entry);
    expect(loaded.size).toBeGreaterThan(20);
    expect([entry, [...loaded].filter((path) => without.test(path))]).toEqual([entry, []]);
  }
});

/** Files and packages that are loaded when `entry` is; types and what is loaded later are not. */
function loadedBy(entry: string): ReadonlySet<string> {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const loaded = new Set<string>();
  const queue = [entry];
  while (queue.length > 0) {
    const path = queue.pop() ?? "";
    if (loaded.has(path)) continue;
    loaded.add(path);
    for (const { kind, path: target } of transpiler.scanImports(texts.get(path) ?? "")) {
      if (kind !== "import-statement") continue;
      queue.push(target.startsWith(".") ? resolved(path, target) : target);
    }
  }
  return loaded;
}

test("only runtime touches clock, randomness, network, files and processes", () => {
  const wrong: string[] = [];
  for (const { path, code } of product) {
    if (/^(runtime|deploy)\//.test(path) || path.startsWith(PAGE) || exempt[path]) continue;
    for (const [index, line] of code.split("\n").entries()) {
      for (const [pattern, advice] of bannedOutsideRuntime) {
        if (pattern.test(line)) wrong.push(`${path}:${index + 1}: ${advice}: ${line.trim()}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("runtime knows no word of language models", () => {
  const words = /\b(token(s|izer|ize)?|prompt|llm|sampl(e|ing)|logits?|prefill|decode worker)\b/i;
  const wrong = product
    .filter(({ path }) => path.startsWith("runtime/"))
    .flatMap(({ path, code }) =>
      code
        .split("\n")
        .flatMap((line, index) => (words.test(line) ? [`${path}:${index + 1}: ${line}`] : [])),
    );
  expect(wrong).toEqual([]);
});

test("files are small, lines are short, nothing is typed any", () => {
  const wrong: string[] = [];
  for (const { path, text, code } of sources) {
    if (path === "test/tidy.test.ts") continue; // It names what it forbids.
    const lines = text.split("\n");
    const is_test = path.startsWith("test/");
    const most = is_test ? limits.test_lines : limits.lines_max;
    // The last line ends with a newline too.
    const count = lines.length - 1;
    if (count > most) wrong.push(`${path}: ${count} lines`);
    if (count > limits.lines && !/Long because/.test(text.slice(0, 3_000))) {
      wrong.push(`${path}: ${count} lines, and no «Long because …» in its head`);
    }
    for (const [index, line] of lines.entries()) {
      const page = path.includes("/html-") || path.endsWith("html-page.ts");
      const wide = !page && line.length > limits.columns && !/["'`]/.test(line);
      if (wide) wrong.push(`${path}:${index + 1}: ${line.length} columns`);
    }
    if (/(:|<|as)\s*any\b(?!\s*[a-z])/.test(code)) wrong.push(`${path}: any`);
    if (/@ts-(ignore|nocheck)/.test(text)) wrong.push(`${path}: @ts-ignore`);
    if (/^export default/m.test(code) && !path.endsWith(".config.ts")) {
      wrong.push(`${path}: default export`);
    }
  }
  expect(wrong).toEqual([]);
});

test("private members are #names, and fixed numbers, texts and patterns are UPPER_CASE", () => {
  const wrong: string[] = [];
  const fixed =
    /^(?:export )?const (\w+)(?:: [\w| ]+)? = (?:-?\d[\w.* +()-]*|["`'][^\n]*["`']|\/[^\n]*\/[a-z]*);$/gm;
  for (const { path, code } of product) {
    if (
      /^\s*(private|protected) (?!abstract|constructor|get|readonly ctx|endLife|touched)/m.test(
        code,
      )
    ) {
      wrong.push(`${path}: private`);
    }
    for (const [, name = ""] of code.matchAll(fixed)) {
      if (!/^[A-Z][A-Z0-9_]*$/.test(name)) wrong.push(`${path}: ${name}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("file names are kebab-case", () => {
  const wrong = sources.map(({ path }) => path).filter((path) => /[A-Z_]/.test(path));
  expect(wrong).toEqual([]);
});

test("no file is dead: everything is reachable from an entry", () => {
  // Commands of package.json that live under test/ count: what they need is no test helper.
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const scripts = [
    ...readFileSync(join(root, "package.json"), "utf8").matchAll(/bun ([\w/-]+\.ts)/g),
  ];
  const queue = [...entries, ...scripts.map((match) => match[1] ?? "")];
  const seen = new Set<string>();
  while (queue.length > 0) {
    const path = queue.pop() ?? "";
    const source = byPath.get(path);
    if (source === undefined || seen.has(path)) continue;
    seen.add(path);
    for (const target of source.imports) {
      if (target.startsWith(".")) queue.push(resolved(path, target));
    }
  }
  const dead = product.map(({ path }) => path).filter((path) => !seen.has(path));
  expect(dead).toEqual([]);
});

test("no folder of code holds more than 20 files on one floor", () => {
  const floors = new Map<string, number>();
  for (const path of tracked.filter((name) => /\.(tsx?|c|h|py)$/.test(name))) {
    if (path.startsWith("proto/gen/")) continue;
    floors.set(dirname(path), (floors.get(dirname(path)) ?? 0) + 1);
  }
  const full = [...floors].filter(([, count]) => count > limits.floor);
  expect(full).toEqual([]);
});

test("every folder has its sentence in docs/structures.md", () => {
  const page = readFileSync(join(root, "docs/structures.md"), "utf8");
  const folders = new Set(
    product
      .map(({ path }) => dirname(path))
      .filter((folder) => folder !== "." && !folder.startsWith("proto/gen")),
  );
  const missing = [...folders].filter((folder) => !page.includes(`\`${folder}/\``));
  expect(missing).toEqual([]);
});

test("files and folders that pages name are there", () => {
  const rooms = new Set(tracked.map((path) => path.slice(0, path.indexOf("/"))));
  const folders = new Set(tracked.map((path) => `${dirname(path)}/`));
  const wrong: string[] = [];
  for (const page of tracked.filter((path) => path.endsWith(".md") && path !== "CHANGELOG.md")) {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, path = ""] of text.matchAll(/`([\w-]+\/[\w./-]*)`/g)) {
      // `NAME/` is for the reader to fill in.
      if (!rooms.has(path.slice(0, path.indexOf("/"))) || /[A-Z]{2}/.test(path)) continue;
      const isThere = tracked.includes(path) || [...folders].some((name) => name.startsWith(path));
      if (!isThere) wrong.push(`${page}: ${path}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("each decision has a number of its own", () => {
  const numbers = readdirSync(join(root, "docs/decisions")).map((name) => name.slice(0, 3));
  expect(numbers.filter((number, i) => numbers.indexOf(number) !== i)).toEqual([]);
});
