/**
 * What a test needs and a machine may lack. Such a test is skipped with the reason in its name, so
 * that `bun run check` counts it and says why; where CI is set, a skip is a failure.
 */
import { describe, test } from "bun:test";

/** The reason; undefined: nothing is lacking. */
export type Lack = string | undefined;

/** Debian's names of packages, where they differ from the program's. */
const packages: Readonly<Record<string, string>> = {
  ...{ ip: "iproute2", unshare: "util-linux", setpriv: "util-linux", cc: "gcc" },
  ...{ promtool: "prometheus" },
};

export function lacksProgram(...names: readonly string[]): Lack {
  const missing = names.filter((name) => Bun.which(name) === null);
  if (missing.length === 0) return undefined;
  const install = missing.map((name) => packages[name] ?? name).join(" ");
  return `${missing.join(" and ")} not installed here (apt-get install ${install})`;
}

const named = (name: string, lack: Lack) =>
  lack === undefined ? name : `${name} [skipped: ${lack}]`;

type Body = () => void | Promise<void>;

export function testWith(lack: Lack, name: string, body: Body, timeout_ms?: number): void {
  test.skipIf(lack !== undefined)(named(name, lack), body, timeout_ms);
}

export function describeWith(lack: Lack, name: string, body: () => void): void {
  describe.skipIf(lack !== undefined)(named(name, lack), body);
}

/** For what has no test of its own to skip: an implementation that a contract test would run on. */
export function isHere(lack: Lack, name: string): boolean {
  if (lack !== undefined) test.skip(named(name, lack), () => {});
  return lack === undefined;
}
