/** Checks that a door's port is free. */
import type { Capabilities } from "../runtime/capabilities.ts";
import { errorText } from "../runtime/error-text.ts";
import { SettingsError } from "./settings/settings-error.ts";

/**
 * The port, or a free one for 0. Probes without sharing, so that another cluster's port is never
 * taken over in silence. Rejects with SettingsError.
 */
export async function freePort(
  { net }: Pick<Capabilities, "net">,
  { host, port }: { readonly host: string; readonly port: number },
  kind: "" | "inspector-",
): Promise<number> {
  try {
    const fetch = async () => new Response(null, { status: 503 });
    const probe = await net.serve({ host, port, share_port: false, fetch });
    const found = probe.port;
    await probe.close();
    return found;
  } catch (error) {
    const why = errorText(error);
    const taken = (error as { code?: string }).code === "address_in_use";
    throw new SettingsError(
      taken
        ? `${why}: stop what listens there, or give another --${kind}port`
        : `--${kind}host ${host}, --${kind}port ${port}: ${why}`,
    );
  }
}
