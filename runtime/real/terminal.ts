/** Status of a start: a line that rewrites itself on a terminal, else lines of the log at times. */

interface StatusLine {
  /** Shows `text` in place of what was shown before; `fraction` of it is done, from 0 to 1. */
  show(text: string, fraction?: number): void;
  /** Takes the line away, before something else is printed. */
  clear(): void;
}

export function statusLine(out: NodeJS.WriteStream = process.stderr): StatusLine | undefined {
  if (!out.isTTY) return undefined;
  let shown = "";
  return {
    show(text, fraction) {
      const whole = fraction === undefined ? text : `${bar(fraction)} ${text}`;
      const line = whole.slice(0, Math.max(20, (out.columns || 80) - 1));
      if (line === shown) return;
      shown = line;
      out.write(`\r\x1b[2K${line}`);
    },
    clear() {
      if (shown === "") return;
      shown = "";
      out.write("\r\x1b[2K");
    },
  };
}

const LOG_EVERY_MS = 5_000;

/** What takes long says how far it is every five seconds; what is over sooner says nothing. */
export function statusLog(log: (line: string) => void, now_ms: () => number): StatusLine {
  let next_ms = now_ms() + LOG_EVERY_MS;
  return {
    show(text, fraction) {
      if (fraction === undefined || now_ms() < next_ms) return;
      next_ms = now_ms() + LOG_EVERY_MS;
      log(`${Math.floor(fraction * 100)} % ${text}`);
    },
    clear() {},
  };
}

/** `[████····] 48 %` */
function bar(fraction: number, width = 24): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return `[${"█".repeat(full)}${"·".repeat(width - full)}] ${Math.round(fraction * 100)} %`;
}
