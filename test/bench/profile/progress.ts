/** The progress of a sweep: one bar that is written over on a terminal, plain lines elsewhere. */
import type { SweepProgress } from "./sweep.ts";

const bar_width = 24;

export type Screen = { readonly isTTY?: boolean; write(text: string): unknown };

/** `end` leaves the bar and begins a new line. */
export function progressOn(screen: Screen): { show: SweepProgress; end: () => void } {
  let drawn = false;
  return {
    show: ({ phase, done, total, what }) => {
      const count = `${phase} ${done}/${total}`;
      if (screen.isTTY) {
        drawn = true;
        screen.write(`\r\x1b[K${barOf(done, total)} ${count}  ${what}`);
      } else if (phase !== "warm-up" || done === total) {
        screen.write(`${count}${what === "" ? "" : `: ${what}`}\n`);
      }
    },
    end: () => {
      if (drawn) screen.write("\n");
      drawn = false;
    },
  };
}

export function barOf(done: number, total: number): string {
  const full = total === 0 ? bar_width : Math.round((bar_width * done) / total);
  return `▕${"█".repeat(full)}${" ".repeat(bar_width - full)}▏`;
}
