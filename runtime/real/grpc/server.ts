/** A gRPC server over `@grpc/grpc-js`. It is loaded by who serves gRPC: it costs memory and time. */
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type StatusObject,
  status as statusCodes,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { HttpServer } from "../../capabilities.ts";
import { errorText } from "../../error-text.ts";
import {
  type GrpcCall,
  GrpcFailure,
  type GrpcMethod,
  type GrpcServeOptions,
  grpcStatus,
} from "../../grpc.ts";
import { TransportError } from "../../transport/transport.ts";

type Bytes = Uint8Array;
type Unary = ServerUnaryCall<Bytes, Bytes>;
type Duplex = ServerDuplexStream<Bytes, Bytes>;

/** Requests of one stream that wait for those before them. */
const WAITING_MOST = 64;

export async function serveGrpc(options: GrpcServeOptions): Promise<HttpServer> {
  const { host, port, tls, message_bytes, methods } = options;
  const server = new Server({ "grpc.max_receive_message_length": message_bytes });
  for (const [index, method] of methods.entries()) {
    const name = `method_${index}`;
    const service: ServiceDefinition = { [name]: definitionOf(method) };
    const handler: UntypedServiceImplementation = {
      [name]: method.streams
        ? (call: Duplex) => new DuplexCall(method, call).begin()
        : (call: Unary, done: Done) => void answerUnary(method, call, done),
    };
    server.addService(service, handler);
  }
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
        ]);
  const where = `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(where, credentials, (error, at) => {
      if (error === null) resolve(at);
      else reject(whyNotBound(where, error));
    });
  });
  return {
    host,
    port: bound,
    drain: () => server.tryShutdown(() => {}),
    close: async () => server.forceShutdown(),
  };
}

const FREE_IT = "stop what listens there, or give another port";

/** grpc-js gives no code; the name of the system's error is in its text. */
function whyNotBound(where: string, { message }: Error): TransportError {
  if (!message.includes("EADDRINUSE")) {
    return new TransportError("bad_address", `cannot listen on ${where}: ${message}`);
  }
  return new TransportError("address_in_use", `${where} is in use: ${FREE_IT}`);
}

type Done = (error: Partial<StatusObject> | null, value?: Bytes) => void;

const asIs = (bytes: Buffer): Bytes => bytes;
const asBuffer = (bytes: Bytes): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

const definitionOf = ({ path, streams }: GrpcMethod): MethodDefinition<Bytes, Bytes> => ({
  ...{ path, requestStream: streams, responseStream: streams },
  ...{ requestSerialize: asBuffer, requestDeserialize: asIs },
  ...{ responseSerialize: asBuffer, responseDeserialize: asIs },
});

async function answerUnary(method: GrpcMethod, call: Unary, done: Done): Promise<void> {
  const { of, over } = callOf(call);
  try {
    let answer: Bytes | undefined;
    for await (const bytes of method.handle(call.request, of)) answer = bytes;
    over();
    done(null, answer ?? new Uint8Array(0));
  } catch (error) {
    over();
    done(statusOf(error));
  }
}

/** Requests of a stream are answered one after the other, as they come. */
class DuplexCall {
  readonly #method: GrpcMethod;
  readonly #call: Duplex;
  readonly #of: GrpcCall;
  readonly #over: () => void;
  readonly #waiting: Bytes[] = [];
  #busy = false;
  #whole = false;
  #ended = false;

  constructor(method: GrpcMethod, call: Duplex) {
    this.#method = method;
    this.#call = call;
    const { of, over } = callOf(call);
    this.#of = of;
    this.#over = over;
  }

  begin(): void {
    this.#call.on("data", (bytes: Bytes) => {
      this.#waiting.push(bytes);
      if (this.#waiting.length >= WAITING_MOST) this.#call.pause();
      void this.#work();
    });
    this.#call.on("end", () => {
      this.#whole = true;
      void this.#work();
    });
    this.#call.on("error", () => this.#end());
  }

  async #work(): Promise<void> {
    if (this.#busy || this.#ended) return;
    this.#busy = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (this.#waiting.length === 0) this.#call.resume();
        for await (const bytes of this.#method.handle(next, this.#of)) await this.#write(bytes);
      }
      if (this.#whole) {
        this.#end();
        this.#call.end();
      }
    } catch (error) {
      this.#end();
      this.#call.emit("error", statusOf(error));
    } finally {
      this.#busy = false;
    }
  }

  async #write(bytes: Bytes): Promise<void> {
    if (this.#of.signal.aborted) throw new GrpcFailure("cancelled", "the client has left");
    if (this.#call.write(bytes)) return;
    await new Promise<void>((resolve) => {
      this.#call.once("drain", resolve);
      this.#of.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  #end(): void {
    this.#ended = true;
    this.#over();
  }
}

/** `over` is called when the call has its answer: what is said to be cancelled then is not. */
function callOf(call: Unary | Duplex): { of: GrpcCall; over: () => void } {
  const abort = new AbortController();
  let done = false;
  // Both kinds of calls are emitters; their typed listeners differ.
  (call as NodeJS.EventEmitter).on("cancelled", () => {
    if (!done) abort.abort();
  });
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(call.metadata.getMap())) {
    if (typeof value === "string") headers.set(name, value);
  }
  const over = () => {
    done = true;
  };
  return { of: { headers, signal: abort.signal }, over };
}

function statusOf(error: unknown): Partial<StatusObject> {
  const metadata = new Metadata();
  if (!(error instanceof GrpcFailure)) {
    return { code: statusCodes.INTERNAL, details: errorText(error), metadata };
  }
  for (const [name, value] of Object.entries(error.trailers)) metadata.set(name, value);
  return { code: grpcStatus[error.status], details: error.message, metadata };
}
