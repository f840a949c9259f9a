/** Addresses of TCP as text: `tcp:10.0.0.1:7000`, `tcp:[fe80::1]:7000`. */
import { urlHost } from "../url-host.ts";
import { TransportError } from "./transport.ts";

export type TcpPlace = { readonly host: string; readonly port: number };

export const tcpAddress = (host: string, port: number) => `tcp:${urlHost(host)}:${port}`;

/** Undefined: not of TCP. Throws TransportError `bad_address`. */
export function tcpPlaceOf(address: string): TcpPlace | undefined {
  if (!address.startsWith("tcp:")) return undefined;
  const parts = /^tcp:(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) {
    throw new TransportError("bad_address", `"${address}" is no tcp:host:port address`);
  }
  return { host: (parts[1] ?? parts[2])!.replace("%25", "%"), port };
}
