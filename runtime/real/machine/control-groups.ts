/**
 * Where Linux says what a process may use: the folders of its control group and of those above it,
 * versions 1 and 2.
 */
import { readFileSync } from "node:fs";

/** The text of a file; undefined: it is not there, or not for us. */
export type ReadText = (path: string) => string | undefined;

export type Controller = "cpu" | "memory";
export type GroupFolder = { readonly version: 1 | 2; readonly folder: string };

type Group = { readonly version: 1 | 2; readonly path: string };
type Mount = Group & { readonly root: string };

export function groupFolders(controller: Controller, read: ReadText): readonly GroupFolder[] {
  const mounts = mountsOf(controller, read("/proc/self/mountinfo") ?? "");
  const groups = groupsOf(controller, read("/proc/self/cgroup") ?? "");
  return mounts.flatMap((mount) => {
    const { version } = mount;
    const group = groups.find((each) => each.version === version);
    return foldersOf(mount, group?.path ?? "/").map((folder) => ({ version, folder }));
  });
}

/** Lines of /proc/self/mountinfo: `ID PARENT DEVICE ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS`. */
function mountsOf(controller: Controller, text: string): Mount[] {
  return text.split("\n").flatMap((line): Mount[] => {
    const [left = "", right = ""] = line.split(" - ");
    const [, , , root = "/", path = ""] = left.split(" ").map(unescaped);
    const [type, , options = ""] = right.split(" ");
    if (type === "cgroup2") return [{ version: 2, path, root }];
    const counts = type === "cgroup" && options.split(",").includes(controller);
    return counts ? [{ version: 1, path, root }] : [];
  });
}

/** Blanks are written as octal numbers. */
const unescaped = (text: string) =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Lines of /proc/self/cgroup: `0::PATH` for version 2, `N:CONTROLLERS:PATH` for version 1. */
function groupsOf(controller: Controller, text: string): Group[] {
  return text.split("\n").flatMap((line): Group[] => {
    const [, number = "", controllers = "", path = "/"] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (number === "0" && controllers === "") return [{ version: 2, path }];
    return controllers.split(",").includes(controller) ? [{ version: 1, path }] : [];
  });
}

/** Folders of our group and of those above it, as far as the mount shows them. */
function foldersOf({ path: point, root }: Mount, group: string): string[] {
  const below = root === "/" ? group : group === root ? "/" : group.replace(`${root}/`, "/");
  const names = below.split("/").filter((name) => name !== "");
  // A path with ".." is seen from another namespace: only what is mounted is known to be ours.
  if (names.includes("..")) return [point];
  return [point, ...names.map((_, index) => `${point}/${names.slice(0, index + 1).join("/")}`)];
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
