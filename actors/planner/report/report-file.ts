/** A planner's report as a file that is written anew, whole, once an interval. */
import type { Files } from "../../../runtime/capabilities.ts";
import type { PlannerConfig } from "../pipeline/config.ts";

const HOUR_MS = 3_600_000;

export class ReportFile {
  readonly #files: Pick<Files, "makeFolder" | "write" | "rename">;
  readonly #folder: string;
  /** Undefined: no report is to be written. */
  readonly path: string | undefined;
  readonly #every_ms: number;
  #next_ms: number;
  #writing = false;

  /** @param now_ms the first report is due an interval later */
  constructor(
    files: Pick<Files, "makeFolder" | "write" | "rename">,
    config: PlannerConfig,
    model: string,
    now_ms: number,
  ) {
    const { report_output_dir: folder, report_filename, report_interval_hours } = config;
    const name = report_filename.replaceAll("MODEL", encodeURIComponent(model));
    this.#files = files;
    this.#folder = folder;
    this.path = folder === "" ? undefined : `${folder}/${name}`;
    this.#every_ms = report_interval_hours * HOUR_MS;
    this.#next_ms = now_ms + this.#every_ms;
  }

  /**
   * Writes when it is time; a write under way is not overtaken. Rejects with what the disk says,
   * and tries again an interval later.
   */
  async tick(now_ms: number, html: () => string): Promise<void> {
    if (this.path === undefined || this.#writing || now_ms < this.#next_ms) return;
    this.#next_ms = now_ms + this.#every_ms;
    this.#writing = true;
    try {
      await this.#files.makeFolder(this.#folder);
      // A reader never sees half of it.
      await this.#files.write(`${this.path}.part`, new TextEncoder().encode(html()));
      await this.#files.rename(`${this.path}.part`, this.path);
    } finally {
      this.#writing = false;
    }
  }
}
