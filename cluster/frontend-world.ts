/** The parts of a frontend's tree; they find each other by path at each use. */
import type { BatchesOptions } from "../actors/batch/batch.ts";
import { movedPaths } from "../actors/frontend/flags.ts";
import {
  archiveOver,
  buildServedModel,
  type DoorSettings,
  type Entrance,
  embedThrough,
  type FrontendMessage,
  type InnerDoor,
  type KserveOptions,
  ModelDirectory,
  noDoor,
  parseJson,
  parsersText,
  placeOf,
  RequestBook,
  RequestTraces,
  readOrigins,
  type StartEmbedding,
} from "../actors/frontend/frontend.ts";
import { clusterMetrics, isLoopbackHost, pageFor } from "../actors/inspector/inspector.ts";
import type { GetTraffic } from "../actors/router/router.ts";
import { type StreamsMessage, startAnswerWith, streamNameOf } from "../actors/stream/stream.ts";
import type { AdapterMessage, RouterMessage } from "../proto/index.ts";
import { type AllowanceOptions, sparingly } from "../runtime/allowance.ts";
import type { ServeGrpc } from "../runtime/grpc.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import { refOf, wireOf } from "../runtime/remote/node.ts";
import type { FrontendTreeOptions } from "../supervisors/frontend-tree.ts";
import { frontendPaths } from "../supervisors/paths.ts";
import type { FrontendBoot } from "./boot.ts";
import { type Discovery, keys } from "./discovery.ts";
import { announce, holdsName } from "./keep-registered.ts";
import { keysOf } from "./keys/key-limits.ts";
import { nearestDesk } from "./nearest-desk.ts";
import type { RoleParts } from "./roles/role.ts";
import { routerOptions } from "./router-options.ts";
import { CrashLedger } from "./worker-crashes.ts";

/** Stored responses, conversations and their turns. */
const STORED_MAX = 1_000_000;

/** Limit for /metrics, which needs no key; scrapers come every few seconds. */
const metricsAllowance: AllowanceOptions = { at_once: 4, each_ms: 1_000 };

function modelDirectory(
  { settings }: FrontendBoot,
  { capabilities: { clock, log } }: ActorSystem,
  discovery: Discovery,
): ModelDirectory {
  return new ModelDirectory(
    (card, blobs) => {
      const model = buildServedModel(card, blobs, clock, settings);
      log.log("info", parsersText(model));
      return model;
    },
    (model) => discovery.firstWorkerMs(model) !== undefined,
  );
}

export function frontendWorld(
  boot: FrontendBoot,
  system: ActorSystem,
  discovery: Discovery,
  { planes, serveGrpc, page }: Pick<RoleParts, "planes" | "serveGrpc" | "page">,
): FrontendTreeOptions {
  const { clock } = system.capabilities;
  const { settings } = boot;
  const models = modelDirectory(boot, system, discovery);
  // undefined while it restarts: whoever asks tries again.
  const own = () => system.lookup(frontendPaths.router) as Ref<RouterMessage> | undefined;
  const { desk, hosted } = nearestDesk(system, discovery);
  const router = () => desk() ?? own();
  const routers = () => [desk(), own()].filter((each) => each !== undefined);
  const crashes = new CrashLedger(() => clock.now_ms());
  discovery.watchExits((worker, crash) => crashes.heard(worker, crash));
  const embeddings = new Set<string>();
  const trace = traceOf(boot, system);
  const tls = tlsOf(boot);
  const { keyFile, access, limits } = keysOf(boot, system, discovery);
  const isLive = (request: string) =>
    embeddings.has(request) ||
    system.lookup(`${frontendPaths.answers}/${streamNameOf(request)}`) !== undefined;
  // Where Redis has the records of several machines it has their files, too.
  const folder = boot.planes === undefined ? `${boot.data_folder}/files` : undefined;
  const archive = archiveOver(system.capabilities, folder);
  const inner = new Lent();
  return {
    keyFile,
    batches: batchesOf(boot, system, discovery, archive, inner),
    trace,
    kserve: kserveOf(boot, system.node, tls, serveGrpc, () => inner.door?.handle),
    router: { ...routerOptions(boot, system, discovery, frontendPaths.router), isLive },
    answers: {
      router,
      routers,
      tokenizerOf: (name) => models.get(name)?.tokenizer,
      migrations: settings.migration_limit,
      isCrash: crashes.isCrash,
    },
    door: {
      host: settings.host,
      port: settings.port,
      ...(tls === undefined ? {} : { tls }),
      share_port: boot.share_port,
      siblings: () => siblingDoors(system, discovery),
      listens: doorNames(system, discovery),
      router: () => (hosted() ? (desk()?.address.node ?? "own") : undefined),
      ...(planes === undefined ? {} : { planes }),
      askedRouter: router,
      keepers: () => discovery.owners<AdapterMessage>(keys.adapters("")),
      crashLoops: () => discovery.names(keys.loop("")),
      models,
      archive,
      lends: inner.take,
      access,
      book: new RequestBook({
        ...{ clock, node: system.node, shows_content: boot.shows_content },
        telemetry: system.capabilities.telemetry,
        origin: () => originOf(boot),
      }),
      ...(trace === undefined ? {} : { traces: trace.traces }),
      ...(limits === undefined ? {} : { limits }),
      startAnswer: (request, sink) => {
        const answers = system.lookup(frontendPaths.answers) as Ref<StreamsMessage> | undefined;
        return startAnswerWith(answers)(request, sink);
      },
      startEmbedding: embedderOf(system, router, embeddings),
      resolve: (wire) => refOf(system, wire),
      // Metrics of the whole cluster: behind a shared port a scraper meets any of the frontends.
      // A page asks all processes, so its rate is limited.
      renderMetrics: sparingly(clock, metricsAllowance, () =>
        clusterMetrics(system, discovery.owners(keys.process(""))),
      ),
      page: pageOf(boot, page),
      settings: doorSettings(boot, access.required),
    },
  };
}

function embedderOf(
  system: ActorSystem,
  router: () => Ref<RouterMessage> | undefined,
  live: Set<string>,
): StartEmbedding {
  const asker = () => {
    const answers = system.lookup(frontendPaths.answers);
    return answers && wireOf(system, answers);
  };
  return embedThrough({ system, router, asker, live, resolve: (wire) => refOf(system, wire) });
}

/** Nothing is made before a browser asks for it. */
function pageOf({ inspector_url }: FrontendBoot, parts: RoleParts["page"]) {
  return parts && pageFor(parts, { mode: "chat", inspector: inspector_url });
}

/** Where a command on this machine reaches the door. */
function originOf({ settings: { host, port, tls_cert } }: FrontendBoot): string {
  const name = ["0.0.0.0", "::", ""].includes(host) ? "localhost" : host;
  const shown = name.includes(":") ? `[${name}]` : name;
  return `${tls_cert === "" ? "http" : "https"}://${shown}:${port}`;
}

/** Undefined: plain HTTP. */
const tlsOf = ({ settings: { tls_cert, tls_key } }: FrontendBoot) =>
  tls_cert === "" ? undefined : { cert: tls_cert, key: tls_key };

/** Undefined: not here. Bun's gRPC cannot share a port, so of several frontends one has it. */
function kserveOf(
  { settings, share_port, version }: FrontendBoot,
  node: string,
  tls: KserveOptions["tls"],
  serve: ServeGrpc | undefined,
  entrance: Entrance,
): KserveOptions | undefined {
  const { host, kserve_port: port } = settings;
  const first = !share_port || node.endsWith("frontend-0");
  if (port === 0 || !first || serve === undefined) return undefined;
  const paths = movedPaths(settings);
  const pathOf = (path: string) => placeOf(paths, path);
  return { host, port, tls, serve, entrance, pathOf, version, message_bytes: MESSAGE_BYTES };
}

/** As much as a body of the HTTP door. */
const MESSAGE_BYTES = 45 * 1024 * 1024;

/** Undefined: there is no request trace. */
function traceOf({ settings, share_port }: FrontendBoot, { node, capabilities }: ActorSystem) {
  const { request_trace: file, request_trace_prompts, request_trace_bytes } = settings;
  if (file === "") return undefined;
  const own = node.split(".").at(-1) ?? node;
  return {
    path: share_port ? file.replace(/(\.[^./]*)?$/, `.${own}$1`) : file,
    traces: new RequestTraces(capabilities.clock, request_trace_prompts),
    file_bytes: request_trace_bytes,
    files: settings.request_trace_files,
  };
}

function doorSettings(boot: FrontendBoot, keys_required: boolean): Partial<DoorSettings> {
  const { settings, version, namespace } = boot;
  return {
    cors_origins: readOrigins(settings.cors_origin, keys_required),
    unknown_fields: settings.ignore_unknown_fields ? "ignore" : "refuse",
    deadline_ms: settings.request_timeout_ms,
    heartbeat_ms: settings.sse_heartbeat_ms,
    keep_hung_up: settings.resume_hangups,
    kept: {
      keep_ms: settings.response_keep_ms,
      bytes_max: settings.response_space_bytes,
      count_max: STORED_MAX,
    },
    version,
    namespace,
    paths: movedPaths(settings),
    template: settings.template,
    lora_updates: settings.lora_updates || isLoopbackHost(settings.host),
  };
}

/** This process's own way in; undefined while its door is restarted. */
class Lent {
  door: InnerDoor | undefined;

  readonly take = (door: InnerDoor | undefined): void => {
    this.door = door;
  };
}

function batchesOf(
  boot: FrontendBoot,
  system: ActorSystem,
  discovery: Discovery,
  { files, batches }: ReturnType<typeof archiveOver>,
  inner: Lent,
): BatchesOptions {
  const runner = { prefix: keys.runner(""), name: "one", path: frontendPaths.batches };
  const mayRun = () => inner.door?.draining() === false;
  return {
    shelf: files,
    book: batches,
    submit: async (line) => inner.door?.submit(line) ?? noDoor,
    parse: parseJson,
    leads: holdsName(system, discovery, runner, mayRun),
    hasRecords: async () =>
      boot.planes !== undefined || (await hasRecords(system, boot.data_folder)),
    router: () => system.lookup(frontendPaths.router) as Ref<GetTraffic> | undefined,
  };
}

/** A look for batches must not make the store of somebody who stores nothing. */
async function hasRecords({ capabilities }: ActorSystem, data_folder: string): Promise<boolean> {
  try {
    return (await capabilities.files.list(data_folder)).length > 0;
  } catch {
    return false;
  }
}

/** The doors that take connections are in the registry under their nodes. */
function doorNames(system: ActorSystem, discovery: Discovery): (door: Ref | undefined) => void {
  const key = keys.door(system.node);
  let listening: Ref | undefined;
  return (door) => {
    listening = door;
    const wanted = () => listening === door && system.lookup(frontendPaths.main) === door;
    if (door === undefined) {
      discovery.deregister(key);
      return;
    }
    void announce(system, discovery, key, door, wanted).then(() => {
      if (listening === undefined) discovery.deregister(key);
    });
  };
}

/** Number of this machine's other doors: a node's machine is its name before the last dot. */
function siblingDoors(system: ActorSystem, discovery: Discovery): number {
  const machine = system.node.slice(0, system.node.lastIndexOf(".") + 1);
  const nodes = discovery.owners(keys.door("")).map(({ address }) => address.node);
  return nodes.filter((node) => {
    return node !== system.node && node.slice(0, node.lastIndexOf(".") + 1) === machine;
  }).length;
}

/** Tells the door which workers there are, now and from now on; returns what ends it. */
export function feedWorkers(system: ActorSystem, discovery: Discovery): () => void {
  return discovery.watchWorkers((change) => {
    // A door that is being restarted is fed anew.
    const door = system.lookup(frontendPaths.main) as Ref<FrontendMessage> | undefined;
    if (door === undefined) return;
    if (change.kind === "all") door.tell({ kind: "workers_are", workers: change.records });
    else if (change.kind === "up") door.tell({ kind: "worker_joined", record: change.record });
    else door.tell({ kind: "worker_left", worker: change.worker });
  });
}
