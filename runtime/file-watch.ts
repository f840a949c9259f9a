/**
 * Whether files have changed, by looking at them from time to time. A system's own notices are no
 * help where files are swapped by links, as Kubernetes does with secrets.
 */
import type { Files } from "./capabilities.ts";

export class FileWatch {
  readonly #files: Files;
  readonly #paths: readonly string[];
  #seen: string | undefined;

  constructor(files: Files, paths: readonly string[]) {
    this.#files = files;
    this.#paths = paths;
  }

  /** True at the first look, and at each that finds another file than the look before. */
  async changed(): Promise<boolean> {
    const stamps = this.#paths.map((path) => this.#files.stamp(path).catch(() => undefined));
    const now = (await Promise.all(stamps)).join(" ");
    if (now === this.#seen) return false;
    this.#seen = now;
    return true;
  }
}
