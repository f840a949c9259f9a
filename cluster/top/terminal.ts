/**
 * The terminal as `bun run top` uses it: a screen of its own, raw keys, and lines that are written
 * only where they have changed. However the command ends, the terminal is as it was.
 */
import { type Key, keysIn } from "./keys.ts";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l";

export class Terminal {
  #shown: readonly string[] = [];
  #open = false;

  get size() {
    return { columns: process.stdout.columns || 80, lines: process.stdout.rows || 24 };
  }

  /** `resized`: the screen has another size now, and nothing on it. */
  open(pressed: (key: Key) => void, resized: () => void): void {
    this.#open = true;
    // Before anything else, so that no end of the process leaves the terminal raw.
    process.on("exit", () => this.close());
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", (text: string) => {
      for (const key of keysIn(text)) pressed(key);
    });
    process.stdout.on("resize", () => {
      this.#shown = [];
      process.stdout.write("\x1b[2J");
      resized();
    });
    process.stdout.write(ENTER);
  }

  /** Line by line; over a slow line only what has changed goes. */
  show(lines: readonly string[]): void {
    if (!this.#open) return;
    const changed = lines.flatMap((line, i) =>
      line === this.#shown[i] ? [] : [`\x1b[${i + 1};1H${line}\x1b[0m\x1b[K`],
    );
    this.#shown = lines;
    if (changed.length > 0) process.stdout.write(changed.join(""));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    process.stdin.setRawMode(false);
    process.stdout.write(LEAVE);
  }
}
