/** The real file capability, and the lines of a child's stderr. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { LineError, lineOfText, lineToText } from "../../../runtime/process/child.ts";
import { lines } from "../../../runtime/process/spawn.ts";
import { realFiles } from "../../../runtime/real/files.ts";

test("files are written, read in parts, appended to, listed, renamed and removed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-files-"));
  const files = realFiles();
  const path = join(folder, "a/b/file");
  expect(await files.size_bytes(path)).toBeUndefined();
  await files.makeFolder(join(folder, "a/b"));
  await files.makeFolder(join(folder, "a/b"));
  await files.write(path, Uint8Array.of(1, 2, 3));
  await files.append(path, Uint8Array.of(4, 5));
  expect(await files.size_bytes(path)).toBe(5);
  expect([...(await files.read(path))]).toEqual([1, 2, 3, 4, 5]);
  expect([...(await files.read(path, 1, 3))]).toEqual([2, 3, 4]);
  expect([...(await files.read(path, 3, 100))]).toEqual([4, 5]);
  expect([...(await files.read(path, 99))]).toEqual([]);
  await files.rename(path, join(folder, "a/b/other"));
  expect(await files.list(join(folder, "a/b"))).toEqual(["other"]);
  await files.remove(join(folder, "a/b/other"));
  await files.remove(join(folder, "a/b/other"));
  expect(await files.list(join(folder, "a/b"))).toEqual([]);
  expect(await files.free_bytes(folder)).toBeGreaterThan(0);
  await expect(files.read(path)).rejects.toMatchObject({ code: "ENOENT" });
  rmSync(folder, { recursive: true });
});

test("lines are the same whatever the pieces they come in; a long one is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme", maxLength: 20 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 7 }),
      (texts, size) => {
        const clean = texts.map((text) => text.replaceAll("\n", ""));
        const bytes = new TextEncoder().encode(clean.map((text) => `${text}\n`).join(""));
        const got: string[] = [];
        const take = lines((line) => got.push(line));
        for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size));
        expect(got).toEqual(clean.filter((text) => text !== ""));
      },
    ),
  );
  const got: string[] = [];
  lines((line) => got.push(line))(new TextEncoder().encode("x".repeat(100_000)));
  expect(got.length).toBe(12);
  expect(Math.max(...got.map(({ length }) => length))).toBe(8_192);
});

test("the parent's line survives the environment; anything else is refused", () => {
  const ref = { node: "root", path: "/a/line", address: "unix:/x.sock" };
  const incarnation = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 255);
  const got = lineOfText(lineToText({ ...ref, incarnation }));
  expect(got).toMatchObject(ref);
  expect([...got.incarnation]).toEqual([...incarnation]);
  for (const text of ["", "{}", "[1]", '{"node":1}']) {
    expect(() => lineOfText(text)).toThrow(LineError);
  }
});
