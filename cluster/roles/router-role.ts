/** A router in a process of its own. */
import { routerPaths } from "../../supervisors/paths.ts";
import { routerTree } from "../../supervisors/router-tree.ts";
import type { RouterBoot } from "../boot.ts";
import { keys } from "../discovery.ts";
import { keepRegistered } from "../keep-registered.ts";
import { routerOptions } from "../router-options.ts";
import { whenWarm } from "../warm-router.ts";
import type { Role } from "./role.ts";

export const routerRole: Role<RouterBoot> = {
  async tree(boot, { system, discovery, names }) {
    return routerTree(routerOptions(boot, system, discovery, routerPaths.router), system, names);
  },
  async stands(_boot, { system, discovery, line }) {
    await whenWarm(system, discovery);
    await keepRegistered(system, discovery, keys.desk(system.node), routerPaths.main);
    line.ready();
  },
  /** Frontends ask their own routers from the moment that a desk is gone. */
  async drain() {},
};
