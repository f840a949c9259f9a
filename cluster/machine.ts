/**
 * This machine, alone or in a cluster of several. With --nats and --redis its processes have a
 * second address on the bus, its registry shares a table with those of other machines, and the
 * names of its nodes begin with the machine's name.
 */
import { FRAME_LIMIT_BYTES, PROTOCOL_VERSION } from "../proto/index.ts";
import type { Capabilities } from "../runtime/capabilities.ts";
import { errorText } from "../runtime/error-text.ts";
import { type OpenPlanes, type Planes, planePrefix } from "../runtime/planes.ts";
import type { RegistryOptions } from "../runtime/registry/registry.ts";
import type { RemoteNode, RemoteOptions } from "../runtime/remote/node.ts";
import type { Bus } from "../runtime/transport/bus.ts";
import { type NatsTransport, natsTransport } from "../runtime/transport/nats.ts";
import { addressesOf, type Transport } from "../runtime/transport/transport.ts";
import { unixTransport } from "../runtime/transport/unix.ts";
import type { Settings } from "./settings/settings.ts";
import { SettingsError } from "./settings/settings-error.ts";

export type Machine = {
  /** Name of its root's node. */
  readonly root: string;
  /** Prefix of the names of its other nodes; empty when the machine is alone. */
  readonly prefix: string;
  readonly planes: Planes | undefined;
};

const READY_MS = 5_000;
const HOST_CHARS = 24;
const limits = { frame_limit_bytes: FRAME_LIMIT_BYTES, queue_limit_bytes: 64 * 1024 * 1024 };

/** Rejects with SettingsError: a server does not answer, or the cluster runs another release. */
export async function joinCluster(
  { planes: urls, namespace, machine_name }: Settings,
  { random }: Capabilities,
  world: { readonly openPlanes?: OpenPlanes; readonly host_name?: string },
): Promise<Machine> {
  if (urls === undefined) return { root: "root", prefix: "", planes: undefined };
  if (world.openPlanes === undefined) throw new SettingsError("--nats and --redis need a network");
  const host = machine_name || hostPart(world.host_name ?? "") || "machine";
  // Unique for each start, so that leftovers of one life are not taken for the next.
  const root = `${host}-${(random.u32() & 0xffff).toString(16).padStart(4, "0")}`;
  const planes = await world.openPlanes(urls, namespace, root);
  try {
    await planes.ready(READY_MS);
    const theirs = await planes.table.join(PROTOCOL_VERSION);
    if (theirs !== PROTOCOL_VERSION) {
      throw new SettingsError(
        `the cluster "${namespace}" speaks protocol version ${theirs}, this program version ` +
          `${PROTOCOL_VERSION}: run the same release on all machines, or give another --namespace`,
      );
    }
  } catch (error) {
    await planes.close();
    if (error instanceof SettingsError) throw error;
    throw new SettingsError(errorText(error));
  }
  return { root, prefix: `${root}.`, planes };
}

const hostPart = (host: string) =>
  (host.split(".")[0] ?? "").replace(/[^\w-]/g, "-").slice(0, HOST_CHARS);

export const registryOf = ({ planes, root }: Machine): RegistryOptions =>
  planes === undefined ? {} : { shared: { table: planes.table, holder: root } };

type Wires = Pick<RemoteOptions, "transports" | "listen"> & { readonly nats?: NatsTransport };

/**
 * Addresses of a process: a socket for its own machine, the bus for other machines.
 * @param socket file name below `run_folder`
 * @param name unique for the life of the process
 */
export function wiresOf(
  capabilities: Capabilities,
  { run_folder, socket, name }: { run_folder: string; socket: string; name: string },
  shared: { readonly bus: Bus; readonly namespace: string } | undefined,
): Wires {
  const near = `unix:${run_folder}/${socket}`;
  if (shared === undefined) {
    return { transports: [unixTransport(capabilities.net, limits)], listen: near };
  }
  const prefix = planePrefix(shared.namespace);
  const nats = natsTransport(shared.bus, capabilities, limits, { prefix, name });
  const transports: Transport[] = [unixTransport(capabilities.net, limits, run_folder), nats];
  return { transports, listen: `${near} nats:${name}`, nats };
}

/** A root sees the end of its processes at once, and tells nodes that only have a link to them. */
export function tellEnds(remote: RemoteNode, run_folder: string, nats: NatsTransport): void {
  remote.onPeer((event) => {
    if (event.kind !== "lost") return;
    const addresses = addressesOf(event.identity.address);
    if (!addresses.some((address) => address.startsWith(`unix:${run_folder}/`))) return;
    for (const address of addresses) if (address.startsWith("nats:")) nats.tellEnd(address);
  });
}
