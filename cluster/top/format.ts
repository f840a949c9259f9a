/** Numbers in few characters. Pure. */

/** 0, 7, 1,204, 15.3k, 2.1M: at most six characters below a billion. */
export function count(value: number): string {
  if (value < 10 && value % 1 !== 0) return value.toFixed(1);
  if (value < 10_000) return Math.round(value).toLocaleString("en-US");
  if (value < 999_950) return `${(value / 1_000).toFixed(1)}k`;
  if (value < 999_950_000) return `${(value / 1_000_000).toFixed(1)}M`;
  return `${(value / 1_000_000_000).toFixed(1)}G`;
}

/** 3ms, 1.5s, 2m, 3h. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)}s`;
  if (ms < 119_500) return `${Math.round(ms / 1_000)}s`;
  if (ms < 7_170_000) return `${Math.round(ms / 60_000)}m`;
  return `${Math.round(ms / 3_600_000)}h`;
}

/** 55M, 1.2G: binary, as `top` and `free -h` say it. */
export function bytes(value: number): string {
  const mebi = value / 2 ** 20;
  if (mebi < 1) return `${Math.round(value / 1_024)}K`;
  if (mebi < 999.5) return `${Math.round(mebi)}M`;
  return `${(mebi / 1_024).toFixed(1)}G`;
}

/** Exactly so wide; what is cut ends in «…». */
export function fitted(text: string, width: number, align: "left" | "right" = "left"): string {
  const chars = [...text];
  if (chars.length > width) return width < 1 ? "" : `${chars.slice(0, width - 1).join("")}…`;
  const space = " ".repeat(width - chars.length);
  return align === "left" ? text + space : space + text;
}
