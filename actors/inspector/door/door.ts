/** What the routes of the inspector's door work with. */
import type { InspectMessage, ProcessInfo, Tree } from "../../../proto/index.ts";
import type {
  HttpExchange,
  WebSocketEnd,
  WebSocketHandlers,
} from "../../../runtime/capabilities.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { PlaneState } from "../../../runtime/planes.ts";
import type { ActsOptions } from "../acts/acts-options.ts";
import type { Page } from "../page-html.ts";
import type { ActingRules } from "./may-act.ts";

export type InspectorDoorOptions = {
  readonly host: string;
  /** Called at each start; 0: any free port. */
  readonly port: () => number;
  /** Names in a request's Host that are taken beside loopback and `host`. */
  readonly allow_hosts?: readonly string[];
  /** The inspector actors of all processes that are there now, the root's own first. */
  readonly processes: () => readonly Ref<InspectMessage>[];
  /** False: texts of clients and of answers are not to be seen here. */
  readonly shows_content?: boolean;
  /** Where the status routes are, if not at `/health` and `/live`. */
  readonly health_path?: string;
  readonly live_path?: string;
  /** Path of the actor that keeps the load of the last hour; absent: there is none. */
  readonly load_path?: string;
  /** This machine has a planner, whether it answers or not. */
  readonly plans?: boolean;
  /** With several machines: the planes, and which of them answer now. */
  readonly planes?: () => readonly PlaneState[];
  /** Called once it listens. */
  readonly listening: (host: string, port: number) => void;
  /** Who may change something; absent: everybody who can ask. */
  readonly acting?: ActingRules;
  /** What acting works with; absent: there is nothing to act on. */
  readonly acts?: ActsOptions;
  readonly about?: About;
  /** What browsers get at `/`; absent: all clients get text. */
  readonly page?: Page;
};

/** Which cluster it is. */
export type About = {
  readonly version: string;
  readonly namespace: string;
  /** Name of this machine's root. */
  readonly machine: string;
  /** Where this machine's OpenAI port is; null: it has none. */
  readonly openai: () => string | null;
};

/** One request to one route. */
export type Call = {
  readonly request: Request;
  readonly url: URL;
  /** By the names in the route's path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly exchange: HttpExchange;
};

/** An actor: its node, and its path there. */
export type Place = { readonly node: string; readonly path: string };

/** The door, as its routes and topics see it. */
export interface Door {
  readonly options: InspectorDoorOptions;
  readonly system: ActorSystem;
  /** Its own. */
  readonly path: string;
  /** Takes pages in that watch. */
  readonly live: { readonly accept: (page: WebSocketEnd) => WebSocketHandlers };
  /** Exchanges with the OpenAI port that are under way. */
  readonly passing: { count: number };
  /** Whether any planner has ever answered: then there is one, also while none answers. */
  readonly planners: { seen: boolean };
  /** Trees of all processes that answer in time. */
  trees(): Promise<Tree[]>;
  processInfos(): Promise<ProcessInfo[]>;
  /** The inspector of that process; undefined: there is no such process. */
  inspectorOf(node: string): Ref<InspectMessage> | undefined;
  /** What an actor says of itself; undefined: it does not answer, or does not exist. */
  snapshotOf(place: Place): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** Asks all processes; who does not answer in time is left out. */
  askAll<T>(ask: (ref: Ref<InspectMessage>) => Promise<T>): Promise<T[]>;
}

/** A process that does not answer within this is left out rather than waited for. */
export const ANSWER_DEADLINE_MS = 1_000;

/** An actor's id is its node's name and its path. */
export function placeOf(id: string): Place | undefined {
  const slash = id.indexOf("/");
  return slash <= 0 ? undefined : { node: id.slice(0, slash), path: id.slice(slash) };
}
