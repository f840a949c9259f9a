/** Frames over unix stream sockets: nodes of one machine. Addresses are `unix:/path/to.sock`. */
import type { Net } from "../capabilities.ts";
import { framedTransport } from "./framing.ts";
import type { LinkLimits, Transport } from "./transport.ts";

/** `folder`: sockets in other folders belong to another machine or cluster and are not dialled. */
export function unixTransport(net: Net, limits: LinkLimits, folder?: string): Transport {
  const transport = framedTransport(net, "unix", limits);
  if (folder === undefined) return transport;
  return { ...transport, reaches: (address) => address.startsWith(`unix:${folder}/`) };
}
