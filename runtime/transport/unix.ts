/** Frames over unix stream sockets: nodes of one machine. Addresses are `unix:/path/to.sock`. */
import type { Net } from "../capabilities.ts";
import { framedTransport } from "./framing.ts";
import type { LinkLimits, Transport } from "./transport.ts";

/** `folder`: sockets elsewhere are of another machine, or of a cluster with nothing to say to us. */
export function unixTransport(net: Net, limits: LinkLimits, folder?: string): Transport {
  const transport = framedTransport(net, "unix", limits);
  if (folder === undefined) return transport;
  return { ...transport, reaches: (address) => address.startsWith(`unix:${folder}/`) };
}
