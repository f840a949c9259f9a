/**
 * `bench page`: the inspector's page in the system's Chromium: its size, and how many frames a
 * second it draws while 1,000 of 10,000 rows change each second. At 30 people see no jerks.
 */
import { join } from "node:path";
import { bundlePage } from "../../../runtime/real/page/web-page.ts";
import { drawn } from "../../support/page-feed.ts";
import type { Report } from "../bench.ts";

const entry = join(import.meta.dir, "../../../actors/inspector/page/main.tsx");
const FRAMES_LEAST = 30;

export async function benchPage(report: Report): Promise<void> {
  const { script, style } = await bundlePage(entry);
  const zipped_kb = Bun.gzipSync(Buffer.from(script + style)).byteLength / 1024;
  report({ case: "size", zipped_kb: Number(zipped_kb.toFixed(1)) });
  for (const rows of [100, 10_000]) {
    const { frames, seconds, changes } = await drawn({ rows, seconds: 5 });
    const frames_per_s = Math.round(frames / seconds);
    report({
      case: `${rows} rows`,
      changes_per_s: Math.round(changes / seconds),
      frames_per_s,
      smooth: frames_per_s >= FRAMES_LEAST,
    });
  }
}
