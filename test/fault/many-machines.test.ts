/**
 * Two machines: network namespaces with one cable between them. NATS, Redis and a frontend on the
 * one, a worker on the other. Needs the right to make namespaces; says so where it has none.
 */
import { afterAll, expect } from "bun:test";
import { clusterCommand } from "../support/cluster.ts";
import { type Lack, lacksProgram, testWith } from "../support/needs.ts";

const id = `t${process.pid % 100_000}`;
const [a, b] = [`${id}a`, `${id}b`];
const ip = { a: "10.231.7.1", b: "10.231.7.2" };
const ports = { nats: 4222, redis: 6379, http: 8000 };
const urls = [
  ...["--nats", `nats://${ip.a}:${ports.nats}`],
  ...["--redis", `redis://${ip.a}:${ports.redis}`],
];
const children: Bun.Subprocess[] = [];

function sh(...command: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

const inside = (space: string, ...command: string[]) => [
  ...["ip", "netns", "exec", space],
  ...command,
];

function start(space: string, ...command: string[]) {
  const env = { ...process.env, TMPDIR: "/tmp" };
  const child = Bun.spawn(inside(space, ...command), { stdout: "pipe", stderr: "pipe", env });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const bytes of stream) text += new TextDecoder().decode(bytes);
    })();
  }
  return { child, text: () => text };
}

async function until(what: () => string, found: RegExp, within_ms = 60_000): Promise<void> {
  const late_ms = performance.now() + within_ms;
  while (!found.test(what())) {
    if (performance.now() > late_ms) throw new Error(`no ${found} in:\n${what()}`);
    await Bun.sleep(20);
  }
}

function lacksNamespaces(): Lack {
  const tried = Bun.spawnSync(["ip", "netns", "add", a]);
  if (tried.exitCode === 0) return undefined;
  return `"ip netns add" is not permitted here: ${tried.stderr.toString().trim()}`;
}

const lack = lacksProgram("nats-server", "redis-server", "ip", "curl") ?? lacksNamespaces();

afterAll(async () => {
  if (lack !== undefined) return;
  for (const child of children) child.kill("SIGTERM");
  const all = Promise.all(children.map((child) => child.exited));
  await Promise.race([all, Bun.sleep(5_000)]);
  for (const child of children) child.kill("SIGKILL");
  for (const space of [a, b]) Bun.spawnSync(["ip", "netns", "del", space]);
});

function lay(): void {
  sh("ip", "netns", "add", b);
  sh("ip", "link", "add", `${a}v`, "netns", a, "type", "veth", "peer", `${b}v`, "netns", b);
  for (const [space, address] of [
    [a, ip.a],
    [b, ip.b],
  ] as const) {
    sh(...inside(space, "ip", "addr", "add", `${address}/24`, "dev", `${space}v`));
    sh(...inside(space, "ip", "link", "set", `${space}v`, "up"));
    sh(...inside(space, "ip", "link", "set", "lo", "up"));
  }
}

/** A streamed chat asked for on machine a. */
function ask(max_tokens: number) {
  const body = {
    model: "troupe-tiny",
    stream: true,
    max_tokens,
    seed: 1,
    ignore_eos: true,
    messages: [{ role: "user", content: "What is Troupe?" }],
  };
  const url = `http://127.0.0.1:${ports.http}/v1/chat/completions`;
  const curl = ["curl", "-sN", "--max-time", "60", url, "-H", "content-type: application/json"];
  return start(a, ...curl, "-d", JSON.stringify(body));
}

function contentOf(events: string): string {
  const lines = events.split("\n").filter((line) => line.startsWith("data: {"));
  return lines.map((line) => JSON.parse(line.slice(6)).choices?.[0]?.delta?.content ?? "").join("");
}

async function whole(max_tokens: number): Promise<string> {
  const { child, text } = ask(max_tokens);
  await child.exited;
  expect(text()).toContain("data: [DONE]");
  return contentOf(text());
}

testWith(
  lack,
  "a chat is streamed from a worker on another machine, through a pulled cable too",
  async () => {
    lay();
    start(a, "nats-server", "--addr", ip.a, "--port", `${ports.nats}`);
    const redis = [
      "--bind",
      ip.a,
      "--port",
      `${ports.redis}`,
      "--save",
      "",
      "--protected-mode",
      "no",
    ];
    start(a, "redis-server", ...redis);
    const listening = () => sh(...inside(a, "ss", "-ltnH"));
    await until(listening, new RegExp(`:${ports.nats}\\s`));
    await until(listening, new RegExp(`:${ports.redis}\\s`));
    const common = [...urls, "--log-level", "warn", "--inspector-port", "8001"];
    const frontend = start(a, ...clusterCommand(), ...common, "--role", "frontend");
    const engine = ["--engine", "mocker", "--speedup-ratio", "1"];
    const worker = start(b, ...clusterCommand(), ...common, "--role", "worker", ...engine);
    await until(frontend.text, /^ready http:\/\/127\.0\.0\.1:8000 inspector \S+$/m);
    await until(worker.text, /^ready worker inspector \S+$/m);
    const health = () => sh(...inside(a, "curl", "-s", `http://127.0.0.1:${ports.http}/health`));
    await until(health, /"status":"ready".*"workers":1.*"nats":"up","redis":"up"/);
    const undisturbed = await whole(300);
    expect(undisturbed.length).toBeGreaterThan(300);

    // Two seconds without the cable: the same answer, only later.
    const { child, text } = ask(300);
    await until(text, /"content":"/);
    sh(...inside(b, "ip", "link", "set", `${b}v`, "down"));
    await Bun.sleep(2_000);
    sh(...inside(b, "ip", "link", "set", `${b}v`, "up"));
    await child.exited;
    expect(text()).toContain("data: [DONE]");
    expect(contentOf(text())).toBe(undisturbed);

    // Nothing but NATS and Redis listens beyond loopback.
    const open = sh(...inside(b, "ss", "-ltnH"))
      .trim()
      .split("\n");
    for (const line of open) expect(line).toMatch(/\s127\.0\.0\.1:\d+\s/);
    expect(open.length).toBeGreaterThan(0);

    // Both see the whole cluster.
    const tree = JSON.parse(sh(...inside(b, "curl", "-s", "http://127.0.0.1:8001/api/tree")));
    const processes = tree.nodes.filter(({ kind }: { kind: string }) => kind === "process");
    expect(processes.map(({ role }: { role: string }) => role).sort()).toEqual([
      "frontend",
      "worker",
    ]);
  },
  120_000,
);
