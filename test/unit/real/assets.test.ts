/** What a compiled binary carries is unpacked where it can be, or one line says what is needed. */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "troupe-assets-"));
afterAll(() => rmSync(folder, { recursive: true }));

const module = join(import.meta.dir, "../../../runtime/real/assets.ts");
const source = join(folder, "lib.so");
writeFileSync(source, "a library");

/** In a process of its own, as what is carried stays so. Returns the folder or the error. */
function unpack(cache: string, temporary: string): string {
  const code = `
    const { AssetsError, assetsFolder, carry } = await import("${module}");
    carry({ "lib/lib.so": "${source}", "models/m.gguf": "${source}" }, "abc");
    try {
      console.log(await assetsFolder("${cache}"));
    } catch (error) {
      console.log(error instanceof AssetsError, error.message);
    }`;
  const env = { ...process.env, TMPDIR: temporary };
  const child = Bun.spawnSync([process.execPath, "-e", code], { env });
  return child.stdout.toString().trim();
}

function temporary(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
}

const uid = process.getuid?.() ?? 0;
const no_folder = join(source, "cache"); // A file in its path: nobody can make it, root neither.

test("in the cache folder, all of it", () => {
  const cache = join(folder, "cache");
  const unpacked = unpack(cache, temporary("t1"));
  expect(unpacked).toBe(`${cache}/binary/abc`);
  expect(existsSync(`${unpacked}/lib/lib.so`) && existsSync(`${unpacked}/models/m.gguf`)).toBe(
    true,
  );
});

test("where that cannot be written, in a folder of this user's own below TMPDIR", () => {
  const place = temporary("t2");
  expect(unpack(no_folder, place)).toBe(`${place}/troupe-cache-${uid}/binary/abc`);
});

test("somebody else could have put files there: an open folder of the name will not do", () => {
  const place = temporary("t3");
  mkdirSync(join(place, `troupe-cache-${uid}`));
  chmodSync(join(place, `troupe-cache-${uid}`), 0o777);
  expect(unpack(no_folder, place)).toMatch(
    /^true .*is not this user's alone\): give a --cache-dir/,
  );
});

test("where it can be put nowhere, one line says so", () => {
  const said = unpack(no_folder, join(source, "none"));
  expect(said).toMatch(
    /^true the libraries that this program carries cannot be unpacked .*--cache-dir/,
  );
  expect(said).not.toContain("\n");
});
