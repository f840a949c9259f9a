/** Settings of the two doors. A setting that no request can ever match is refused. */
import { addressFlags, grpcFlags, movedPaths, pathFlags } from "../../actors/frontend/flags.ts";
import { placeOf, tablePaths } from "../../actors/frontend/settings.ts";
import { type InspectorSettings, inspectorFlags } from "../../actors/inspector/flags.ts";
import {
  MIN_ENDPOINTS_HOST,
  type PlannerDoorSettings,
  plannerDoorFlags,
} from "../../actors/planner/outside/flags.ts";
import type { SettingsOf } from "../../runtime/setting.ts";
import { SettingsError } from "./settings-error.ts";

const words: readonly string[] = ["auto", "local", "none", "*"];

/** Throws SettingsError when `--cors-origin` has a text that is no page's origin. */
export function checkOrigins(flag: string): void {
  const items = flag
    .split(",")
    .map((item) => item.trim().toLowerCase().replace(/\/$/, ""))
    .filter((item) => item !== "");
  for (const item of items) {
    const alone = item === "*" || item === "none";
    if (alone && items.length > 1) {
      throw new SettingsError(`--cors-origin ${flag}: ${item} stands alone; leave the rest out`);
    }
    if (!words.includes(item) && !isOrigin(item)) throw noOrigin(item);
  }
}

/** As a browser writes it: no path, no usual port, names in ASCII. Pages in a sandbox are "null". */
function isOrigin(item: string): boolean {
  if (item === "null") return true;
  if (item.includes("*")) return false;
  if (/^https?:/.test(item)) return URL.parse(item)?.origin === item;
  return /^[a-z][a-z\d+.-]*:\/\/[a-z\d._-]+(?::\d+)?$/.test(item);
}

function noOrigin(item: string): SettingsError {
  const url = item.includes("*") ? null : URL.parse(item);
  const meant = url !== null && /^https?:$/.test(url.protocol) ? url.origin : "https://app.example";
  return new SettingsError(
    `--cors-origin: no browser sends "${item}" as a page's origin; give auto, local, *, none, or ` +
      `origins as ${meant}`,
  );
}

const HOST_FORM = /^(?:\[[\da-f:.]+\]|[\da-f:.]*::[\da-f:.]*|[a-z\d_.-]+)(?::\d{1,5})?$/i;

/** Throws SettingsError when `--inspector-allow-host` has a text that no Host header can have. */
export function checkHosts(names: readonly string[]): void {
  const odd = names.find((name) => !HOST_FORM.test(name.trim()));
  if (odd === undefined) return;
  throw new SettingsError(
    `--inspector-allow-host: "${odd}" is no name of a host; give a name or an address alone, as ` +
      "inspector.example, and the flag once for each",
  );
}

const TOKEN_FORM = /^[!-~]{8,256}$/;

/** Throws SettingsError when `--inspector-token` is no token that a header can carry. */
export function checkToken(token: string): void {
  if (token === "" || TOKEN_FORM.test(token)) return;
  throw new SettingsError(
    "--inspector-token: a token has 8 to 256 characters, without spaces and in ASCII; give another",
  );
}

/** Throws SettingsError unless certificate and key are both given, or neither. */
export function checkTlsGiven(settings: { readonly tls_cert: string; readonly tls_key: string }) {
  const { tls_cert, tls_key } = settings;
  if ((tls_cert === "") === (tls_key === "")) return;
  const [given, lacks] = tls_cert === "" ? ["key", "cert"] : ["cert", "key"];
  throw new SettingsError(`--tls-${given}-path needs --tls-${lacks}-path beside it: give both`);
}

/** One that listens; `port` 0: any free one, or none. */
type Door = { readonly flag: string; readonly host: string; readonly port: number };

export const frontendDoors = (given: FrontendDoors): readonly Door[] => [
  { flag: addressFlags.port.name, host: given.host, port: given.port },
  { flag: grpcFlags.kserve_port.name, host: given.host, port: given.kserve_port },
];
type FrontendDoors = SettingsOf<typeof addressFlags & typeof grpcFlags>;

export const inspectorDoor = ({ host, port }: InspectorSettings): Door => ({
  ...{ flag: inspectorFlags.port.name, host, port },
});

export const plannerDoors = (given: PlannerDoorSettings): readonly Door[] => [
  {
    flag: plannerDoorFlags.prometheus_port.name,
    ...{ host: given.prometheus_host, port: given.prometheus_port },
  },
  {
    flag: plannerDoorFlags.min_endpoints_port.name,
    ...{ host: MIN_ENDPOINTS_HOST, port: given.min_endpoints_port },
  },
];

/** A name that everybody has for an address. */
const addressOf = (host: string): string => (host === "localhost" ? "127.0.0.1" : host);

const everyAddress: readonly string[] = ["", "0.0.0.0", "::", "[::]"];

/** Throws SettingsError when two doors would listen at one place. */
export function checkPorts(doors: readonly Door[]): void {
  for (const [at, { flag, host, port }] of doors.entries()) {
    const other = doors.slice(0, at).find((each) => {
      if (port === 0 || each.port !== port) return false;
      const [one, two] = [addressOf(each.host), addressOf(host)];
      return one === two || everyAddress.includes(one) || everyAddress.includes(two);
    });
    if (other === undefined) continue;
    throw new SettingsError(
      `--${other.flag} and --${flag} both name port ${port}: give one of them another`,
    );
  }
}

type PathSettings = SettingsOf<typeof pathFlags>;

const PATH_FORM = /^(?:\/[\w.~-]+)+$/;

/** Throws SettingsError when the inspector's status routes have no path that a probe could name. */
export function checkStatusPaths(inspector: InspectorSettings): void {
  for (const key of ["health_path", "live_path"] as const) {
    const path = inspector[key];
    if (PATH_FORM.test(path)) continue;
    const { name, env, default: usual } = inspectorFlags[key];
    throw new SettingsError(
      `--${name} (${env[0]}): "${path}" is no path of a route; give one that begins with a slash, ` +
        `as ${usual}`,
    );
  }
}

/** Throws SettingsError when a route has no path that a request could name, or that of another. */
export function checkPaths(settings: PathSettings): void {
  for (const [key, { name, env, default: usual }] of Object.entries(pathFlags)) {
    const path = settings[key as keyof PathSettings];
    if (PATH_FORM.test(path)) continue;
    throw new SettingsError(
      `--${name} (${env[0]}): "${path}" is no path of a route; give one that begins with a slash, ` +
        `does not end with one and holds letters, digits and -._~/ alone, as ${usual}`,
    );
  }
  const moved = movedPaths(settings);
  const taken = new Map<string, string>();
  for (const path of tablePaths) {
    const place = placeOf(moved, path).replace(/\{\w+\}/, "{}");
    const other = taken.get(place);
    if (other !== undefined) throw pathClash(moved, path, other);
    taken.set(place, path);
  }
}

function pathClash(
  moved: Readonly<Record<string, string>>,
  path: string,
  other: string,
): SettingsError {
  const mover = (of: string) =>
    Object.values(pathFlags).find(({ default: from }) => {
      const to = moved[from];
      return to !== undefined && placeOf({ [from]: to }, of) !== of;
    });
  // In the tables no two are at one path, so that one of them was moved.
  const { name, env } = (mover(path) ?? mover(other))!;
  return new SettingsError(
    `--${name} (${env[0]}): ${path} and ${other} would both be at ${placeOf(moved, path)}; give ` +
      "one of them another path",
  );
}
