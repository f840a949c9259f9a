/**
 * Checks that a request's Host names this door. A foreign page can make its own name point to this
 * machine (DNS rebinding). Its visitor's browser then takes our answers for that page's own, and
 * only the name in Host shows it.
 */

/** Values of `--inspector-host` that mean every address. */
const everyAddress: readonly string[] = ["0.0.0.0", "::", ""];

/**
 * @param host the header as it came, with any port; null: there was none
 * @param listens the address or name that the door was told to listen on
 * @param more names that its operator allows beside it
 */
export function isAllowedHost(
  host: string | null,
  listens: string,
  more: readonly string[],
): boolean {
  if (host === null) return false;
  const name = hostName(host);
  if (name === "localhost" || name.endsWith(".localhost") || isLoopback(name)) return true;
  const own = hostName(bracketed(listens));
  if (name !== "" && name === own) return true;
  // An address cannot point elsewhere as a name can, so a door on every address takes them all.
  if (everyAddress.includes(own) && isAddress(name)) return true;
  return more.some((allowed) => name !== "" && hostName(bracketed(allowed)) === name);
}

const PORT_MAX = 65_535;

/** Without port, brackets, the root's dot and capitals; "" for what is no host. */
export function hostName(host: string): string {
  const form = /^(?:\[([\da-f:.]+)\]|([^:[\]\s/@]+))(?::(\d*))?$/;
  const found = form.exec(host.trim().toLowerCase());
  if (Number(found?.[3] ?? 0) > PORT_MAX) return "";
  const name = found?.[1] ?? found?.[2] ?? "";
  return name.length > 1 && name.endsWith(".") ? name.slice(0, -1) : name;
}

const bracketed = (host: string): string =>
  host.includes("::") && !host.startsWith("[") ? `[${host}]` : host;

/** An address that only this machine reaches, or its name. */
export const isLoopbackHost = (host: string): boolean =>
  hostName(bracketed(host)) === "localhost" || isLoopback(hostName(bracketed(host)));

const isLoopback = (name: string): boolean =>
  /^127(\.\d{1,3}){3}$/.test(name) || name === "::1" || name === "0:0:0:0:0:0:0:1";

const isAddress = (name: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || (name.includes(":") && /^[\da-f:.]+$/.test(name));
