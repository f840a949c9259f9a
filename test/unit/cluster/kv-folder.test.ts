/** Whether blocks can be written where the settings say is seen before anything starts. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkKvFolder } from "../../../cluster/settings/kv-folder.ts";
import { parseFlags } from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";
import { realFiles } from "../../../runtime/real/files.ts";

const cache_folder = mkdtempSync(join(tmpdir(), "troupe-kv-folder-"));
afterAll(() => rmSync(cache_folder, { recursive: true }));

const check = (...flags: string[]) =>
  checkKvFolder({ settings: settle([parseFlags(flags)], []), cache_folder }, realFiles());
const host = ["--kv-host-bytes", "64MB"];
const disk = [...host, "--kv-disk-bytes", "64MB"];

test("without a disk nothing is made", async () => {
  await check(...host);
  expect(readdirSync(cache_folder)).toEqual([]);
});

test("the folder is made, and nothing stays in it", async () => {
  await check(...disk);
  expect(readdirSync(cache_folder)).toEqual(["kv"]);
  expect(readdirSync(join(cache_folder, "kv"))).toEqual([]);
  await check(...disk, "--kv-disk-dir", join(cache_folder, "a", "b"));
  expect(readdirSync(join(cache_folder, "a"))).toEqual(["b"]);
});

test("a folder that cannot be written is named, with what to do", async () => {
  const file = join(cache_folder, "file");
  writeFileSync(file, "");
  const checked = check(...disk, "--kv-disk-dir", file);
  await expect(checked).rejects.toThrow(SettingsError);
  await expect(checked).rejects.toThrow(
    /^blocks cannot be .*\/file \(.+\): give another --kv-disk-dir, or leave --kv-disk-bytes out$/,
  );
});
