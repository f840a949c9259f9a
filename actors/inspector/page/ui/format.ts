/** Figures as people read them; pure. A thin space stands between a figure and its unit. */

const SPACE = "\u202f";
const NONE = "–";

/** Three figures are enough to see what is going on. */
function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function count(value: number | undefined): string {
  if (value === undefined) return NONE;
  if (Math.abs(value) < 100_000) return Math.round(value).toLocaleString("en-US");
  if (Math.abs(value) < 1e6) return `${short(value / 1_000)}${SPACE}k`;
  return value < 1e8 ? `${short(value / 1e6)}${SPACE}M` : `${short(value / 1e9)}${SPACE}G`;
}

export function rate(value: number | undefined): string {
  if (value === undefined) return NONE;
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value >= 100_000) return `${short(value / 1_000)}${SPACE}k`;
  // What comes twice a second is counted as 2.01 now and 1.98 then.
  return value >= 1 && value < 10 ? String(Number(value.toFixed(1))) : short(value);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(value: number | undefined): string {
  if (value === undefined) return NONE;
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : short(size)}${SPACE}${UNITS[unit]}`;
}

/** A length of time. */
export function duration(value_ms: number | undefined | null): string {
  if (value_ms === undefined || value_ms === null) return NONE;
  if (value_ms < 0.001) return "0";
  if (value_ms < 1) return `${short(value_ms * 1_000)}${SPACE}µs`;
  if (value_ms < 1_000) return `${short(value_ms)}${SPACE}ms`;
  if (value_ms < 60_000) return `${short(value_ms / 1_000)}${SPACE}s`;
  const minutes = Math.floor(value_ms / 60_000);
  if (minutes < 60)
    return `${minutes}${SPACE}min ${Math.floor((value_ms % 60_000) / 1_000)}${SPACE}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}${SPACE}h ${minutes % 60}${SPACE}min`;
  return `${Math.floor(hours / 24)}${SPACE}d ${hours % 24}${SPACE}h`;
}

/** How long ago, in one word. */
export function ago(at_ms: number, now_ms: number): string {
  const age_ms = Math.max(0, now_ms - at_ms);
  return age_ms < 1_000 ? "now" : `${duration(Math.floor(age_ms / 1_000) * 1_000)} ago`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** Time of day here, with milliseconds. */
export function clockTime(at_ms: number): string {
  const at = new Date(at_ms);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return `${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export const timeOfDay = (at_ms: number): string => clockTime(at_ms).slice(0, 8);

export function percent(share: number | undefined): string {
  return share === undefined ? NONE : `${short(share * 100)}${SPACE}%`;
}

/** As `nameOf`; a process is called by its slot: `/cluster/workers/worker-0/process`. */
export function titleOf(path: string): string {
  const slot = /([^/]+)\/process$/.exec(path)?.[1];
  return slot === undefined ? nameOf(path) : `${slot}, process`;
}

/** `/cluster/workers/worker-0` → `worker-0`. */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1) || path;

/** A crash in a row that says itself which process it was. */
export const briefly = (crash: string): string =>
  crash.replace(/(^|: )crash: (ProcessDied: process "[^"]*" \(pid \d+\): )?/, "$1");
