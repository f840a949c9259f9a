import { expect, test } from "bun:test";
import { plannerDefaults } from "../../../../actors/planner/pipeline/config-defaults.ts";
import { PlannerConfigError } from "../../../../actors/planner/pipeline/config-text.ts";
import { plannerConfigOf } from "../../../../actors/planner/pipeline/read-config.ts";
import { ReportFile } from "../../../../actors/planner/report/report-file.ts";

const HOUR_MS = 3_600_000;

function memory() {
  const files = new Map<string, string>();
  return {
    files,
    makeFolder: async () => {},
    write: async (path: string, bytes: Uint8Array) => {
      files.set(path, new TextDecoder().decode(bytes));
    },
    rename: async (from: string, to: string) => {
      files.set(to, files.get(from) ?? "");
      files.delete(from);
    },
  };
}

test("a report is written once an interval, whole, by the model's name", async () => {
  const disk = memory();
  const config = { ...plannerDefaults, report_output_dir: "/reports", report_interval_hours: 2 };
  const report = new ReportFile(disk, config, "org/tiny", 0);
  await report.tick(2 * HOUR_MS - 1, () => "too early");
  expect(disk.files.size).toBe(0);
  await report.tick(2 * HOUR_MS, () => "first");
  await report.tick(3 * HOUR_MS, () => "too early");
  expect([...disk.files]).toEqual([["/reports/planner-org%2Ftiny.html", "first"]]);
  await report.tick(4 * HOUR_MS, () => "second");
  expect([...disk.files.values()]).toEqual(["second"]);
});

test("without a folder none is written; a disk that refuses is asked again an interval later", async () => {
  const disk = memory();
  const none = new ReportFile(disk, plannerDefaults, "tiny", 0);
  await none.tick(100 * HOUR_MS, () => "no");
  expect([none.path, disk.files.size]).toEqual([undefined, 0]);
  const config = { ...plannerDefaults, report_output_dir: "/full", report_interval_hours: 1 };
  const refusing = { ...disk, write: () => Promise.reject(new Error("no space")) };
  const report = new ReportFile(refusing, config, "tiny", 0);
  await expect(report.tick(HOUR_MS, () => "x")).rejects.toThrow("no space");
  await report.tick(HOUR_MS + 1, () => "not yet");
  await expect(report.tick(2 * HOUR_MS, () => "x")).rejects.toThrow("no space");
});

test("the keys of reports are Dynamo's", () => {
  const written = { report_interval_hours: 0.5, report_output_dir: "r", report_filename: "p.html" };
  expect(plannerConfigOf(written).config).toMatchObject(written);
  expect(() => plannerConfigOf({ report_filename: "a/b" })).toThrow(PlannerConfigError);
});
