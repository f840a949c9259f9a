/** Cores of a container are its quota's, whichever control groups say so. */
import { describe, expect, test } from "bun:test";
import {
  coresEnvironment,
  cpuQuota,
  usableCores,
} from "../../../runtime/real/machine/cpu-quota.ts";

const reader = (files: Readonly<Record<string, string>>) => (path: string) => files[path];

const v2 = (group: string, files: Record<string, string>, root = "/") =>
  reader({
    "/proc/self/cgroup": `0::${group}\n`,
    "/proc/self/mountinfo": `30 23 0:26 ${root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n`,
    ...files,
  });

const v1 = (group: string, files: Record<string, string>, root = "/") =>
  reader({
    "/proc/self/cgroup": `12:memory:/other\n4:cpu,cpuacct:${group}\n1:name=systemd:/x\n`,
    "/proc/self/mountinfo": [
      `32 31 0:29 ${root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct`,
      `35 31 0:32 /other /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`,
      "",
    ].join("\n"),
    ...files,
  });

const base = "/sys/fs/cgroup";
const cpu = `${base}/cpu,cpuacct`;
const quota = (folder: string, us: string, period = "100000") => ({
  [`${folder}/cpu.cfs_quota_us`]: `${us}\n`,
  [`${folder}/cpu.cfs_period_us`]: `${period}\n`,
});

const cases: readonly (readonly [string, ReturnType<typeof reader>, number | undefined])[] = [
  ["no control groups at all", reader({}), undefined],
  ["version 2, a container's own root", v2("/", { [`${base}/cpu.max`]: "150000 100000\n" }), 1.5],
  ["version 2, none", v2("/", { [`${base}/cpu.max`]: "max 100000\n" }), undefined],
  ["version 2, another period", v2("/a", { [`${base}/a/cpu.max`]: "25000 50000\n" }), 0.5],
  [
    "version 2, the group above is tighter",
    v2("/pod/box", {
      [`${base}/pod/cpu.max`]: "200000 100000\n",
      [`${base}/pod/box/cpu.max`]: "800000 100000\n",
    }),
    2,
  ],
  [
    "version 2, two levels above",
    v2("/a/b/c/d", {
      [`${base}/a/cpu.max`]: "300000 100000",
      [`${base}/a/b/cpu.max`]: "max 100000",
    }),
    3,
  ],
  [
    "version 2, a mount that shows a part",
    v2("/docker/id/inner", { [`${base}/inner/cpu.max`]: "400000 100000" }, "/docker/id"),
    4,
  ],
  [
    "version 2, seen from another namespace",
    v2("/../../other", { [`${base}/cpu.max`]: "100000 100000" }),
    1,
  ],
  ["version 1", v1("/user", quota(`${cpu}/user`, "250000")), 2.5],
  ["version 1, none", v1("/user", quota(`${cpu}/user`, "-1")), undefined],
  [
    "version 1, Docker shows the container's group as the mount",
    v1("/docker/abc", quota(cpu, "50000"), "/docker/abc"),
    0.5,
  ],
  [
    "version 1, nested",
    v1("/a/b", { ...quota(`${cpu}/a`, "100000", "50000"), ...quota(`${cpu}/a/b`, "-1") }),
    2,
  ],
  ["nonsense", v2("/", { [`${base}/cpu.max`]: "soon\n" }), undefined],
  ["a quota of nothing", v2("/", { [`${base}/cpu.max`]: "0 100000" }), undefined],
];

describe("quotas", () => {
  test.each(cases)("%s", (_name, read, cores) => {
    expect(cpuQuota(read)).toEqual(cores);
  });

  test("both versions at once: the tighter one", () => {
    const one = v1("/a", quota(`${cpu}/a`, "300000"));
    const two = v2("/b", { [`${base}/b/cpu.max`]: "200000 100000" });
    const read = (path: string) =>
      path.startsWith("/proc") ? `${one(path)}${two(path)}` : (one(path) ?? two(path));
    expect(cpuQuota(read)).toBe(2);
  });
});

test("fractions are rounded down, to one core at least and to the machine's at most", () => {
  const cores = (max: string, machine = 64) =>
    usableCores(v2("/", { [`${base}/cpu.max`]: max }), machine);
  const rounded = ["10000", "50000", "100000", "150000", "199000", "250000", "800000"].map((us) =>
    cores(`${us} 100000`),
  );
  expect(rounded).toEqual([1, 1, 1, 1, 2, 2, 8]);
  expect(cores("800000 100000", 2)).toBe(2);
  expect(usableCores(reader({}), 7)).toBe(7);
});

test("a child process counts the cores of the quota as its own", () => {
  expect(coresEnvironment(4, 4)).toEqual({});
  const child = Bun.spawnSync(
    [process.execPath, "-e", "console.log(navigator.hardwareConcurrency)"],
    { env: { ...process.env, ...coresEnvironment(5, 64) } },
  );
  expect(child.stdout.toString().trim()).toBe("5");
});
