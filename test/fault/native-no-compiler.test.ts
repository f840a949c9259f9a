/**
 * The engine on a machine without any compiler or header: a mount namespace hides /usr/include,
 * the compilers' folders and every compiler binary, then the shim is built by Bun's own compiler
 * and makes a token. Needs Linux and the right to make a mount namespace.
 */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomGguf } from "../support/engine/random-gguf.ts";
import { type Lack, lacksProgram, testWith } from "../support/needs.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-bare-"));
afterAll(() => rmSync(folder, { recursive: true }));

const PROGRAM = join(import.meta.dir, "../support/engine/engine-one-token.ts");

/** Hides what compiles and what it would include; prints what is left of both. */
const HIDE = `
set -e
empty="$1/empty"; mkdir -p "$empty"
for folder in /usr/include /usr/local/include /usr/lib/gcc /usr/libexec/gcc /usr/lib/llvm* \
              /usr/local/lib/tcc /usr/lib/*/tcc; do
  if [ -d "$folder" ]; then mount --bind "$empty" "$folder"; fi
done
IFS=:
for place in $PATH; do
  for file in "$place"/cc "$place"/c[89]9 "$place"/*gcc* "$place"/*g++* "$place"/*clang* \
              "$place"/tcc "$place"/c++ "$place"/cpp "$place"/*-ld "$place"/ld; do
    if [ -e "$file" ]; then mount --bind /dev/null "$(readlink -f "$file")"; fi
  done
done
unset IFS
for name in cc gcc clang tcc c99 c++; do
  if [ -x "$(command -v $name)" ]; then echo "still there: $name"; exit 9; fi
done
if [ -n "$(ls -A /usr/include 2> /dev/null)" ]; then echo "still there: headers"; exit 9; fi
shift
exec "$@"
`;

/** Why mount namespaces cannot be made here, or undefined when they can. */
function obstacle(): Lack {
  if (process.platform !== "linux") return "mount namespaces are Linux'";
  const missing = lacksProgram("unshare");
  if (missing !== undefined) return missing;
  const mount = Bun.spawnSync(["unshare", ...NAMESPACE, "mount", "--bind", folder, "/mnt"]);
  const said = mount.stderr.toString().trim();
  return mount.exitCode === 0 ? undefined : `a mount namespace is not permitted here: ${said}`;
}

const NAMESPACE = process.getuid?.() === 0 ? ["-m"] : ["-m", "-U", "-r"];

async function oneToken(before: readonly string[], env: Record<string, string>): Promise<void> {
  const model = join(folder, "random.gguf");
  await Bun.write(model, randomGguf());
  const cache = mkdtempSync(join(folder, "cache-")); // nothing built before
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [...before, process.execPath, PROGRAM, model],
    { env: { ...process.env, XDG_CACHE_HOME: cache, ...env } },
  );
  const printed = stdout.toString() + stderr.toString();
  expect(printed).toContain("shim built by Bun");
  expect(printed).toContain("tokens 8 length");
  expect(exitCode).toBe(0);
}

const hidden = ["unshare", ...NAMESPACE, "bash", "-c", HIDE, "hide", folder];
testWith(
  obstacle(),
  "without compiler and headers Bun's compiler builds the shim and a token comes",
  () => oneToken(hidden, {}),
  30_000,
);

test(
  "Bun's compiler, asked for, builds the shim and a token comes",
  () => oneToken([], { TROUPE_CC: "bun" }),
  30_000,
);
