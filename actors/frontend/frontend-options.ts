/** What the frontend actor is made of. */
import type { ActorRef, AdapterMessage, RouterMessage, WorkerMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { PlaneState } from "../../runtime/planes.ts";
import type { SubmitLine } from "../batch/batch.ts";
import type { StartAnswer } from "../stream/stream.ts";
import type { Access } from "./access/access.ts";
import type { SharedLimits } from "./access/key-gate.ts";
import type { Dialect } from "./api/dialect.ts";
import type { Archive } from "./api/json-route.ts";
import type { DoorSettings } from "./door-settings.ts";
import type { StartEmbedding } from "./embedding/embed.ts";
import type { TlsPaths } from "./http/tls-server.ts";
import type { ModelDirectory } from "./models/models.ts";
import type { RequestBook } from "./requests/request-book.ts";
import type { RequestTraces } from "./trace/request-traces.ts";

/** Requests of this process itself, as batches have them. */
export type InnerDoor = {
  readonly submit: SubmitLine;
  /** A request of another protocol, which has its own key. */
  readonly handle: (request: Request) => Promise<Response>;
  readonly draining: () => boolean;
};

export type FrontendOptions = {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly share_port: boolean;
  /** Files of certificate and key; without them it speaks plain HTTP. */
  readonly tls?: TlsPaths;
  /** Number of other doors that take connections at a shared port. */
  readonly siblings?: () => number;
  /** Called when the door takes connections, and with undefined when others should. */
  readonly listens?: (door: Ref | undefined) => void;
  /** With several machines: the planes, and which of them answer now. */
  readonly planes?: () => readonly PlaneState[];
  /** Name of the hosted router that is asked, or "own"; undefined where none is hosted. */
  readonly router?: () => string | undefined;
  /** The router that streams ask; undefined while there is none. */
  readonly askedRouter?: () => Ref<RouterMessage> | undefined;
  /** Who loads adapters, one a machine that has workers. */
  readonly keepers?: () => readonly Ref<AdapterMessage>[];
  /** Processes of the cluster that keep ending. */
  readonly crashLoops?: () => readonly string[];
  /** Shared with whoever starts stream actors, which need the tokenizer of a model. */
  readonly models: ModelDirectory;
  readonly startAnswer: StartAnswer;
  readonly startEmbedding: StartEmbedding;
  /** Finds the actor that a record names. */
  readonly resolve: (wire: ActorRef) => Ref<WorkerMessage>;
  readonly settings?: Partial<DoorSettings>;
  /** What clients have uploaded; nothing of it is kept without. */
  readonly archive?: Archive;
  /** Rules of keys; without them those of `settings` open everything. */
  readonly access?: Access;
  /** Where the limits of keys are counted for all frontends; without it this one counts alone. */
  readonly limits?: SharedLimits;
  /** Called with the way in for this process's own requests, and with undefined at its end. */
  readonly lends?: (inner: InnerDoor | undefined) => void;
  /** Live and recent requests, for who looks at them. */
  readonly book?: RequestBook;
  /** What the requests leave behind for the request trace; without it nothing. */
  readonly traces?: RequestTraces;
  /** Which POST routes there are; all of api/dialects.ts without it. */
  readonly dialects?: readonly Dialect[];
  /** The page for a browser at `/`; without it all clients get JSON there. */
  readonly page?: (headers: Headers) => Promise<Response> | undefined;
  /** Text of /metrics; this process's own without it. */
  readonly renderMetrics?: () => string | Promise<string>;
};
