/** What is free is the machine's, or what is left of whichever control group is tightest. */
import { expect, test } from "bun:test";
import { freeMemory } from "../../../runtime/real/machine/free-memory.ts";

const MIB = 2 ** 20;
const base = "/sys/fs/cgroup";
const meminfo = (mib: number) =>
  `MemTotal: 9 kB\nMemAvailable:   ${mib * 1024} kB\nBuffers: 1 kB\n`;

type Tree = Readonly<Record<string, string>>;

const v2 = (group: string, files: Tree): Tree => ({
  "/proc/self/cgroup": `0::${group}\n`,
  "/proc/self/mountinfo": `30 23 0:26 / ${base} rw,nosuid - cgroup2 cgroup2 rw\n`,
  ...files,
});

const v1 = (group: string, files: Tree): Tree => ({
  "/proc/self/cgroup": `4:cpu:/x\n8:memory:${group}\n0::/\n`,
  "/proc/self/mountinfo": [
    `32 31 0:29 / ${base}/cpu rw - cgroup cgroup rw,cpu`,
    `35 31 0:32 / ${base}/memory rw - cgroup cgroup rw,memory`,
    "",
  ].join("\n"),
  ...files,
});

/** A group of version 2 with `most` MiB, of which `used` are taken, `pages` by files. */
const box = (folder: string, most: number | "max", used: number, pages = 0): Tree => ({
  [`${folder}/memory.max`]: most === "max" ? "max\n" : `${most * MIB}\n`,
  [`${folder}/memory.current`]: `${used * MIB}\n`,
  [`${folder}/memory.stat`]: `anon 5\ninactive_file ${pages * MIB}\nactive_file ${MIB}\nslab 1\n`,
});

const box1 = (folder: string, most: number, used: number): Tree => ({
  [`${folder}/memory.limit_in_bytes`]: `${most}\n`,
  [`${folder}/memory.usage_in_bytes`]: `${used * MIB}\n`,
  [`${folder}/memory.stat`]: `active_file ${900 * MIB}\ntotal_inactive_file ${3 * MIB}\n`,
});

const memory = `${base}/memory`;
const cases: readonly (readonly [name: string, files: Tree, mib: number | undefined])[] = [
  ["nothing is known", {}, undefined],
  ["no control groups", {}, 800],
  ["version 2 without a limit", v2("/", box(base, "max", 500)), 800],
  ["version 2, the pages of files give way", v2("/", box(base, 600, 500, 99)), 200],
  ["version 2, roomy", v2("/", box(base, 6_000, 500)), 800],
  ["version 2, the group above is tighter", v2("/a/b", { ...box(`${base}/a`, 100, 61) }), 40],
  ["version 2, over its limit", v2("/", box(base, 100, 300)), 0],
  ["version 1", v1("/a", box1(`${memory}/a`, 512 * MIB, 215)), 300],
  ["version 1 without a limit", v1("/a", box1(`${memory}/a`, 2 ** 63, 215)), 800],
  ["a number that is none", v2("/", { [`${base}/memory.max`]: "soon" }), 800],
];

test.each(cases)("%s", (name, files, mib) => {
  const all: Tree =
    name === "nothing is known" ? files : { "/proc/meminfo": meminfo(800), ...files };
  expect(freeMemory((path) => all[path], "linux")).toBe(mib === undefined ? mib : mib * MIB);
});

test("of this machine something is known", () => {
  expect(freeMemory()).toBeGreaterThan(0);
});
