/** The keys of a frontend, and where they are counted: in the limits actor of its machine's root. */
import { Access, type KeyFileOptions, type SharedLimits } from "../../actors/frontend/frontend.ts";
import type { RefusedBy } from "../../actors/limits/limits.ts";
import type { LimitsMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { wellKnownRef } from "../../runtime/remote/wire.ts";
import { frontendPaths, rootPaths } from "../../supervisors/paths.ts";
import type { FrontendBoot } from "../boot.ts";
import { type Discovery, keys } from "../discovery.ts";

/** A root on a starved machine answers late; one that is stopped never does. */
const ASK_MS = 2_000;

/** Without a keys file no key has rules, and nothing is counted. */
export function keysOf(
  boot: FrontendBoot,
  system: ActorSystem,
  discovery: Discovery,
): {
  readonly access: Access;
  readonly keyFile: KeyFileOptions | undefined;
  readonly limits: SharedLimits | undefined;
} {
  const { given, filed, file } = boot.settings.keys;
  const access = new Access(given, filed);
  if (file === "") return { access, keyFile: undefined, limits: undefined };
  // Who has no keys file does not load what reads YAML.
  const { clock } = system.capabilities;
  const pause = () => new Promise<void>((resolve) => void clock.after(0, resolve));
  const parse = async (text: string, path: string) =>
    (await (await import("./key-file.ts")).readKeyFileInParts(text, path, pause)).rules;
  const doors = () => discovery.owners(keys.door("")).length;
  return {
    access,
    keyFile: { path: file, access, parse },
    limits: limitsOfRoot(boot, system, doors),
  };
}

/** `doors`: how many frontends there are, this one included. */
function limitsOfRoot(
  boot: Pick<FrontendBoot, "root_node" | "registry_address">,
  system: ActorSystem,
  doors: () => number,
): SharedLimits {
  const wire = wellKnownRef(boot.root_node, rootPaths.limits, boot.registry_address);
  const limits = (): Ref<LimitsMessage> => refOf(system, wire);
  return {
    reserve: async (ask) => {
      const door = system.lookup(frontendPaths.main);
      const asker = door && wireOf(system, door);
      const reserve = {
        kind: "reserve",
        ...ask,
        ...(asker === undefined ? {} : { asker }),
      } as const;
      const reserved = await system.ask(limits(), reserve, { deadline_ms: ASK_MS });
      return { ...reserved, refused_by: reserved.refused_by as RefusedBy };
    },
    settle: (settle) => void limits().tell(settle),
    share: () => 1 / Math.max(1, doors()),
  };
}
