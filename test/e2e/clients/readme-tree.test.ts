/** The tree in README is that of a running cluster. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startCluster } from "../../support/cluster.ts";

const README = readFileSync(join(import.meta.dir, "../../../README.md"), "utf8");
const DRAWN = /[├└]── ([\w-]+)(?: ═+ ([\w-]+))?/g;
/** What README says it leaves out. */
const LEFT_OUT = /\/discovery\/|\/line$/;

test("README draws every actor and process, in the order of /api/tree", async () => {
  await using cluster = await startCluster(["--engine", "echo"]);
  const response = await fetch(`${cluster.inspector}/api/tree`);
  const { nodes } = (await response.json()) as { nodes: readonly { readonly id: string }[] };
  const there = nodes.map(({ id }) => id).filter((id) => !LEFT_OUT.test(id));
  const drawn = [...README.matchAll(DRAWN)].flatMap(([, ...names]) =>
    names.filter((name) => name !== undefined),
  );
  expect(there[0]).toBe("root/cluster");
  expect<readonly (string | undefined)[]>(drawn).toEqual(
    there.slice(1).map((id) => id.split("/").at(-1)),
  );
}, 30_000);
