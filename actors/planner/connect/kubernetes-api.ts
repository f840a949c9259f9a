/**
 * Three calls to a Kubernetes API server: read, patch, and again. `@kubernetes/client-node` is not
 * used: it brings an HTTP stack of its own past the network that is handed in, and what is needed
 * of it is the address, a token and a certificate.
 */
import type { Clock, Files, Net } from "../../../runtime/capabilities.ts";
import { fetchText } from "../outside/timed.ts";

export type KubernetesAccess = {
  /** As https://10.0.0.1:443. */
  readonly server: string;
  /** Read again for each call, as the kubelet changes it; empty: none. */
  readonly token_file: string;
  /** Empty: the system's certificates. */
  readonly ca_file: string;
  readonly namespace: string;
  readonly clock: Clock;
  readonly net: Pick<Net, "fetch">;
  readonly files: Pick<Files, "read">;
  readonly timeout_ms?: number;
};

/** The API server refuses; `status` is HTTP's. */
export class KubernetesError extends Error {
  override readonly name = "KubernetesError";
  readonly code = "kubernetes_refused";
  readonly status: number;

  constructor(status: number, why: string) {
    super(why);
    this.status = status;
  }
}

type PatchType = "application/json-patch+json" | "application/merge-patch+json";

const TIMEOUT_MS = 10_000;
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

export class KubernetesApi {
  readonly #access: KubernetesAccess;

  constructor(access: KubernetesAccess) {
    this.#access = access;
  }

  get namespace(): string {
    return this.#access.namespace;
  }

  /** Rejects with KubernetesError, NoAnswerError, or as the network does. */
  get(path: string): Promise<unknown> {
    return this.#call("GET", path, {});
  }

  async patch(path: string, type: PatchType, body: unknown): Promise<void> {
    const headers = { "content-type": type };
    await this.#call("PATCH", path, { body: JSON.stringify(body), headers });
  }

  async #call(method: string, path: string, init: RequestInit): Promise<unknown> {
    const { server, token_file, ca_file, timeout_ms = TIMEOUT_MS } = this.#access;
    const token = await this.#text(token_file);
    const headers = new Headers(init.headers);
    headers.set("accept", "application/json");
    if (token !== "") headers.set("authorization", `Bearer ${token.trim()}`);
    const ca = server.startsWith("https:") ? await this.#text(ca_file) : "";
    const options: BunFetchRequestInit = {
      ...init,
      method,
      headers,
      ...(ca === "" ? {} : { tls: { ca } }),
    };
    const { status, text } = await fetchText(this.#access, server + path, options, timeout_ms);
    const body = parsed(text);
    if (status >= 200 && status < 300) return body;
    throw new KubernetesError(status, refusal(method, path, status, body));
  }

  async #text(path: string): Promise<string> {
    return path === "" ? "" : Buffer.from(await this.#access.files.read(path)).toString();
  }
}

function refusal(method: string, path: string, status: number, body: unknown): string {
  const { message } = (body ?? {}) as { readonly message?: unknown };
  const said = typeof message === "string" ? `: ${message}` : "";
  const what = `Kubernetes answers ${status} to ${method} ${path}${said}`;
  if (status !== 401 && status !== 403) return what;
  return `${what}; the planner's service account needs get and patch there`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export type InCluster = Pick<
  KubernetesAccess,
  "server" | "token_file" | "ca_file" | "namespace"
> & {
  /** The graph deployment that this planner is a part of. */
  readonly graph: string;
  readonly check_ms: number;
  readonly wait_ms: number;
};

const SECONDS_MOST = 86_400;

type Env = Readonly<Record<string, string | undefined>>;

/** What the kubelet and Dynamo's operator tell a pod. Throws KubernetesError when that is missing. */
export function inCluster(env: Env): InCluster {
  const host = env["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = env["KUBERNETES_SERVICE_PORT"] ?? "443";
  const graph = env["DYN_PARENT_DGD_K8S_NAME"] ?? "";
  if (host === "" || graph === "") {
    const missing = host === "" ? "KUBERNETES_SERVICE_HOST" : "DYN_PARENT_DGD_K8S_NAME";
    const why = `${missing} is not set: environment kubernetes is for a pod of a graph deployment`;
    throw new KubernetesError(0, `${why}; choose environment local or virtual elsewhere`);
  }
  const seconds = (name: string, usual: number): number => {
    const given = Number(env[name]);
    return 1_000 * (given > 0 && given < SECONDS_MOST ? given : usual);
  };
  // Ours: a volume with a token of another audience may be elsewhere.
  const account = env["KUBERNETES_SERVICE_ACCOUNT_DIR"] ?? ACCOUNT;
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    token_file: `${account}/token`,
    ca_file: `${account}/ca.crt`,
    namespace: env["DYN_PARENT_DGD_K8S_NAMESPACE"] ?? env["POD_NAMESPACE"] ?? "default",
    graph,
    check_ms: seconds("SCALING_CHECK_INTERVAL", 10),
    wait_ms: seconds("SCALING_MAX_WAIT_TIME", 1_800),
  };
}
