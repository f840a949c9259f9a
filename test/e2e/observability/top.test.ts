/** `bun run top` on a real cluster, in a real terminal. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";

const command = join(import.meta.dir, "../../../cluster/top/top.ts");
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster(["--engine", "echo", "--workers", "2"]);
}, 90_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
}, 30_000);

async function top(args: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, command, ...args], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 30_000 },
    env: { ...process.env, ...env },
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

test("--once prints one table of every process, without escape sequences", async () => {
  const { code, stdout, stderr } = await top(["--once", "--url", cluster.inspector]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).not.toContain("\x1b");
  expect(stdout).toContain(cluster.inspector);
  for (const name of ["root/cluster", "worker-0", "worker-1", "frontend-0", "inspector-door"]) {
    expect(stdout).toContain(name);
  }
});

test("--filter and --sort are for scripts too", async () => {
  const args = ["--once", "--url", cluster.inspector, "--filter", "registry", "--sort", "rate"];
  const { stdout } = await top(args);
  expect(stdout).toContain("NAME by rate");
  expect(stdout).toContain("root/cluster/registry");
  expect(stdout).not.toContain("frontend-0");
});

test("nothing that listens, no inspector, no terminal, no such flag: one line that says what to do", async () => {
  const gone = await top(["--once", "--url", "http://127.0.0.1:1"]);
  expect(gone.code).toBe(1);
  expect(gone.stderr).toMatch(/^top: nothing answers at http:\/\/127\.0\.0\.1:1 .*bun run cluster/);
  const other = await top(["--once", "--url", cluster.url]);
  expect(other.code).toBe(1);
  expect(other.stderr).toContain("is that an inspector's port?");
  const piped = await top(["--url", cluster.inspector]);
  expect({ code: piped.code, stderr: piped.stderr }).toMatchObject({ code: 2 });
  expect(piped.stderr).toContain("--once");
  expect((await top(["--sort", "colour"])).code).toBe(2);
  expect((await top(["--nonsense"])).stderr).toContain("--help lists the flags");
});

testWith(
  lacksProgram("tmux"),
  "in a terminal of 80×24: live, sorted, filtered, resized, and left as it was",
  async () => {
    // A server of its own, which ends with its last session.
    const socket = `troupe-top-${process.pid}`;
    const tmux = (...args: string[]) => Bun.spawnSync(["tmux", "-L", socket, ...args]);
    const screen = () => tmux("capture-pane", "-p", "-t", "top").stdout.toString().split("\n");
    const shows = (what: string, test: (lines: readonly string[]) => boolean) =>
      until(what, 20_000, () => test(screen()));
    const start = `${process.execPath} ${command} --url ${cluster.inspector}; echo "left $?"; cat`;
    tmux("new-session", "-d", "-s", "top", "-x", "80", "-y", "24", start);
    try {
      await shows("the tree", (lines) => lines.some((line) => line.startsWith(">root/cluster")));
      expect(
        screen()
          .slice(0, 24)
          .every((line) => [...line].length <= 80),
      ).toBe(true);
      await shows("a live link", ([title = ""]) => title.includes("  live  "));
      tmux("send-keys", "-t", "top", "Down", "Down");
      await shows("the mark", (lines) => lines[5]?.startsWith(">") === true);
      tmux("send-keys", "-t", "top", "s");
      await shows("a sorted list", (lines) => lines[2]?.includes("NAME by rate") === true);
      tmux("send-keys", "-t", "top", "r");
      await shows("roles", (lines) => lines[2]?.trim().startsWith("ROLE") === true);
      tmux("send-keys", "-t", "top", "r", "/", "worker-1", "Enter");
      await shows("a filter", (lines) => lines[23]?.includes("filter «worker-1»") === true);
      expect(screen().slice(3, 23).join("\n")).not.toContain("frontend-0");
      tmux("resize-window", "-t", "top", "-x", "50", "-y", "12");
      await shows("the new size", (lines) => lines[11]?.includes("filter «worker-1»") === true);
      tmux("send-keys", "-t", "top", "q");
      await shows("its end", (lines) => lines.some((line) => line.startsWith("left 0")));
      expect(screen().join("\n")).not.toContain("troupe top");
    } finally {
      tmux("kill-server");
    }
  },
  90_000,
);
