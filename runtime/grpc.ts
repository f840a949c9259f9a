/** Interface of a gRPC server, whose methods take and give bytes; the real one: real/grpc/. */
import type { HttpServer } from "./capabilities.ts";
import type { TlsPair } from "./tls-pair.ts";

export type GrpcMethod = {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Requests and answers are streams; else one of each. */
  readonly streams: boolean;
  /** Answers one request. Throws GrpcFailure for an error; anything else is `internal`. */
  readonly handle: (request: Uint8Array, call: GrpcCall) => AsyncIterable<Uint8Array>;
};

export type GrpcCall = {
  readonly headers: ReadonlyMap<string, string>;
  /** Aborted when the client cancels, leaves, or its deadline is over. */
  readonly signal: AbortSignal;
};

/** Those of gRPC that are used here; the numbers are the protocol's. */
export const grpcStatus = {
  cancelled: 1,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  permission_denied: 7,
  resource_exhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export type GrpcStatus = keyof typeof grpcStatus;

export class GrpcFailure extends Error {
  override readonly name = "GrpcFailure";
  readonly status: GrpcStatus;
  /** Sent behind the answer. */
  readonly trailers: Readonly<Record<string, string>>;

  constructor(
    status: GrpcStatus,
    message: string,
    trailers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.trailers = trailers;
  }
}

export type GrpcServeOptions = {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsPair;
  /** The largest request. */
  readonly message_bytes: number;
  readonly methods: readonly GrpcMethod[];
};

/** Rejects with TransportError when it cannot listen. */
export type ServeGrpc = (options: GrpcServeOptions) => Promise<HttpServer>;
