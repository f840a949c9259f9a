/** Where peers and what they need are kept: outside the repository, once for a machine. */
import { homedir } from "node:os";
import { join } from "node:path";

export const peerCache = (): string =>
  process.env["TROUPE_PEERS_CACHE"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "troupe-peers");
