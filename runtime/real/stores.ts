/** Where real processes keep durable records: a file of this machine, or Redis for several. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../capabilities.ts";
import { type PlaneUrls, planePrefix } from "../planes.ts";
import { OpenedLateStore } from "../store/opened-late.ts";
import { SqliteStore, StoreError } from "../store/sqlite.ts";
import { homeFolder } from "./assets.ts";

export type StorePlace = {
  /** Undefined = one machine. */
  readonly planes: PlaneUrls | undefined;
  readonly namespace: string;
  readonly data_folder: string;
};

type Env = Readonly<Record<string, string | undefined>>;

const RECORDS = "records.sqlite";
/** A request waits that long for Redis when nobody has used it before. */
const READY_MS = 2_000;

/** Opened by its first use, so that a process which stores nothing pays nothing. */
export function realStore(place: StorePlace, client_name: string, env: Env): Store {
  const { planes, namespace, data_folder } = place;
  return new OpenedLateStore(async () => {
    if (planes === undefined) return fileStore(data_folder);
    // Their clients cost memory and time: only machines that are not alone load them.
    const { redisClient } = await import("./redis.ts");
    const { RedisStore } = await import("../store/redis.ts");
    const redis = redisClient({ url: planes.redis, client_name, env });
    try {
      await redis.ready(READY_MS);
    } catch (error) {
      await redis.close();
      throw error;
    }
    return new RedisStore(redis, planePrefix(namespace));
  });
}

/** Throws StoreError. What people ask and are answered lies there, so it is this user's alone. */
function fileStore(data_folder: string): Store {
  try {
    mkdirSync(data_folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const why = (error as Error).message;
    throw new StoreError(`there can be no ${data_folder}: ${why}; give another --data-dir`);
  }
  return new SqliteStore(join(data_folder, RECORDS));
}

/**
 * Where records go: `given`, or the platform's place with the port as its name, so that two
 * clusters of one user have one each. With any free port they go with the run.
 */
export function dataFolder(given: string, port: number, run_folder: string): string {
  if (given !== "") return given;
  if (port === 0) return join(run_folder, "data");
  const base = process.platform === "darwin" ? "Library/Application Support" : ".local/share";
  const home = process.env.XDG_DATA_HOME || join(homeFolder(), base);
  return join(home, "troupe", `port-${port}`);
}
