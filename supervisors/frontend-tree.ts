/**
 * A frontend process:
 *
 *     frontend (one_for_one)
 *     ├── discovery
 *     ├── planes      NATS and Redis, where there are several machines
 *     ├── inspector
 *     ├── keys        reads the keys file again, where there is one
 *     ├── trace       writes the request trace, where there is one
 *     ├── router      which worker gets a request
 *     ├── answers     parent of one stream actor per live answer
 *     ├── door        OpenAI over HTTP
 *     ├── batches     requests in files; one of the cluster's frontends answers them
 *     └── kserve      KServe over gRPC, where it is asked for
 *
 * They find each other by path at each use, so that one may crash and come back under the others.
 */
import { type BatchesOptions, BatchRunner } from "../actors/batch/batch.ts";
import {
  FrontendActor,
  type FrontendOptions,
  KeyFileActor,
  type KeyFileOptions,
  KserveActor,
  type KserveOptions,
  TraceWriter,
  type TraceWriterOptions,
} from "../actors/frontend/frontend.ts";
import { ProcessInspector, type ProcessInspectorOptions } from "../actors/inspector/inspector.ts";
import { type RouterOptions, routerOf } from "../actors/router/router.ts";
import { StreamParent, type StreamsOptions } from "../actors/stream/stream.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/supervision/child-spec.ts";

export type FrontendTreeOptions = {
  /** Undefined: there is no keys file. */
  readonly keyFile: KeyFileOptions | undefined;
  /** Undefined: there is no request trace. */
  readonly trace: TraceWriterOptions | undefined;
  readonly router: RouterOptions;
  readonly answers: StreamsOptions;
  readonly door: FrontendOptions;
  readonly batches: BatchesOptions;
  /** Undefined: it is not asked for. */
  readonly kserve: KserveOptions | undefined;
};

/** `first`: discovery, and with several machines their planes. */
export function frontendTree(
  options: FrontendTreeOptions,
  first: readonly ChildSpec[],
): SupervisorSpec {
  return {
    strategy: "one_for_one",
    intensity: 5,
    period_ms: 10_000,
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector(inspectorOf(options)) },
      ...keyFileSpecs(options.keyFile),
      ...traceSpecs(options.trace),
      { id: "router", start: (outside) => routerOf(options.router, outside) },
      { id: "answers", start: () => new StreamParent(options.answers) },
      { id: "door", role: "frontend", start: () => new FrontendActor(options.door) },
      { id: "batches", start: () => new BatchRunner(options.batches) },
      ...kserveSpecs(options.kserve),
    ],
  };
}

const inspectorOf = ({ door: { book } }: FrontendTreeOptions): ProcessInspectorOptions => ({
  role: "frontend",
  ...(book === undefined ? {} : { requests: book }),
});

const keyFileSpecs = (options: KeyFileOptions | undefined): readonly ChildSpec[] =>
  options === undefined ? [] : [{ id: "keys", start: () => new KeyFileActor(options) }];

/** It stops after the door: the last requests are written too. */
const traceSpecs = (options: TraceWriterOptions | undefined): readonly ChildSpec[] =>
  options === undefined ? [] : [{ id: "trace", start: () => new TraceWriter(options) }];

const kserveSpecs = (options: KserveOptions | undefined): readonly ChildSpec[] =>
  options === undefined ? [] : [{ id: "kserve", start: () => new KserveActor(options) }];
