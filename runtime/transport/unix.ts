/** Frames over unix stream sockets: nodes of one machine. Addresses are `unix:/path/to.sock`. */
import type { Net } from "../capabilities.ts";
import { framedTransport } from "./framing.ts";
import type { LinkLimits, Transport } from "./transport.ts";

export function unixTransport(net: Net, limits: LinkLimits): Transport {
  return framedTransport(net, "unix", limits);
}
