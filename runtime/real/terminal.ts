/** One line of status that rewrites itself on a terminal, and stays silent when there is none. */

interface StatusLine {
  /** Shows `text` in place of what was shown before. */
  show(text: string): void;
  /** Takes the line away, before something else is printed. */
  clear(): void;
}

export function statusLine(out: NodeJS.WriteStream = process.stderr): StatusLine {
  if (!out.isTTY) return { show: () => {}, clear: () => {} };
  let shown = "";
  return {
    show(text) {
      const line = text.slice(0, Math.max(20, (out.columns || 80) - 1));
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

/** `[████····] 48 %` */
export function bar(fraction: number, width = 24): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return `[${"█".repeat(full)}${"·".repeat(width - full)}] ${Math.round(fraction * 100)} %`;
}
