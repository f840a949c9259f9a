/**
 * The face of `frontend`: the OpenAI door of a cluster as an actor. It owns the HTTP server, knows
 * which models are served, and drains. Requests do not pass through its mailbox: the server calls
 * the door directly, and each answer flows from its own stream actor into its own response.
 *
 *   FrontendActor ─ HttpServer ─ Door ─▶ startAnswer (one stream actor per prompt)
 *        ▲  workers_are / worker_joined / worker_left (from who watches the registry)
 *        └─ asks workers for blobs ─▶ ModelDirectory
 */

import { hashBlob } from "../../llm/model/model-card.ts";
import type { Ask, Blob, BusyIs, Drain, ModelBusy, WorkerRecord } from "../../proto/index.ts";
import type { HttpExchange, HttpServer } from "../../runtime/capabilities.ts";
import { Actor, type Snapshot } from "../../runtime/kernel/actor.ts";
import { type BlockMeter, watchEventLoop } from "../../runtime/observe/event-loop.ts";
import { wireOf } from "../../runtime/remote/node.ts";
import { dialects } from "./api/dialects.ts";
import { jsonRoutes } from "./api/json-routes.ts";
import { placeOf } from "./api/paths.ts";
import { archiveOver } from "./archive.ts";
import { type DoorSettings, doorDefaults } from "./door-settings.ts";
import { FrontendMetrics } from "./frontend-metrics.ts";
import type { FrontendOptions } from "./frontend-options.ts";
import { Door } from "./http/door.ts";
import { DoorDrain, type DrainMessage, FLUSH_MS, SHUTTING_DOWN } from "./http/door-drain.ts";
import { submitThrough } from "./http/submit-line.ts";
import { openTlsServer, TlsServer } from "./http/tls-server.ts";
import { clearCaches } from "./models/clear-caches.ts";
import { healthOf } from "./models/info-bodies.ts";
import { loraDesk } from "./models/lora-desk.ts";
import type { ModelDirectory } from "./models/models.ts";
import { pause } from "./pause.ts";
import { findHeld, type WorkerPeers } from "./resume/find-held.ts";
import { claimsOver } from "./resume/idempotency-claim.ts";

export { Access } from "./access/access.ts";
export { KeyFileActor, type KeyFileOptions } from "./access/key-file-actor.ts";
export type { SharedLimits } from "./access/key-gate.ts";
export { placeOf } from "./api/paths.ts";
export { archiveOver } from "./archive.ts";
export { type DoorSettings, doorDefaults } from "./door-settings.ts";
export { type EmbedPeers, embedThrough, type StartEmbedding } from "./embedding/embed.ts";
export type { FrontendOptions, InnerDoor } from "./frontend-options.ts";
export { type Entrance, KserveActor, type KserveOptions } from "./grpc/kserve-actor.ts";
export { readOrigins } from "./http/cors.ts";
export { parseJson } from "./http/read-body.ts";
export { noDoor } from "./http/submit-line.ts";
export { parsersText } from "./models/model-parsers.ts";
export { ModelDirectory } from "./models/models.ts";
export { buildServedModel, type ServedModel } from "./models/served-model.ts";
export { type BookOptions, RequestBook } from "./requests/request-book.ts";
export { RequestTraces } from "./trace/request-traces.ts";
export { TraceWriter, type TraceWriterOptions } from "./trace/trace-writer.ts";

export type DoorState = {
  readonly host: string;
  /** 0: it takes no connections yet. */
  readonly port: number;
  readonly health: string;
  readonly live: number;
};

/** Ask: where it listens and how it is. */
export type GetDoor = { readonly kind: "get_door" } & Ask<DoorState>;

export type FrontendMessage =
  /** All workers that the registry knows. */
  | { readonly kind: "workers_are"; readonly workers: readonly WorkerRecord[] }
  | { readonly kind: "worker_joined"; readonly record: WorkerRecord }
  | { readonly kind: "worker_left"; readonly worker: string }
  | Drain
  | GetDoor
  | { readonly kind: "blob_came"; readonly hash: string; readonly blob: Blob | undefined }
  | { readonly kind: "look_again" }
  /** The door opens although models are missing: its wait is over. */
  | { readonly kind: "open_late" }
  | { readonly kind: "opened"; readonly server: HttpServer }
  | { readonly kind: "not_opened"; readonly error: unknown }
  | DrainMessage;

/**
 * An idle connection is closed after the time of a body and this. Proxies and clients close their
 * idle connections sooner, so that none of them sends a request into a connection that just closed.
 */
const IDLE_BEYOND_BODY_MS = 60_000;
const ROUTER_DEADLINE_MS = 5_000;
const BLOB_DEADLINE_MS = 10_000;
/**
 * A door that shares its port takes connections only when it can serve, as its siblings may be able
 * to. After this time it takes them anyway: without any worker, clients must get a 503.
 */
const OPEN_LATE_MS = 5_000;
/** How often missing blobs are asked for again and deserted models forgotten. */
const LOOK_AGAIN_MS = 500;

export class FrontendActor extends Actor<FrontendMessage> {
  readonly #options: FrontendOptions;
  readonly #settings: DoorSettings;
  readonly #models: ModelDirectory;
  /** Hashes on their way. */
  readonly #asked = new Set<string>();
  #door: Door | undefined;
  #metrics: FrontendMetrics | undefined;
  #server: HttpServer | undefined;
  #opening = false;
  #closing = false;
  #loop: BlockMeter | undefined;
  #drain: DoorDrain | undefined;

  constructor(options: FrontendOptions) {
    super();
    this.#options = options;
    this.#settings = { ...doorDefaults, ...options.settings };
    this.#models = options.models;
  }

  override async init(): Promise<void> {
    const { clock, random, log, capabilities, system } = this.ctx;
    const { share_port, startAnswer, startEmbedding } = this.#options;
    const metrics = new FrontendMetrics(system.metrics, clock);
    this.#metrics = metrics;
    const loop = watchEventLoop(clock);
    this.#loop = loop;
    metrics.eventLoopDelay(() => loop.takeBlock_ms() / 1000);
    const { resolve } = this.#options;
    const workers = () => this.#models.knownWorkers();
    const holders: WorkerPeers = { system, resolve, workers: () => this.#models.knownHolders() };
    const door = new Door({
      clock,
      random,
      ids: capabilities.ids,
      log,
      models: this.#models,
      dialects: this.#options.dialects ?? dialects,
      jsonRoutes,
      clearCaches: () => clearCaches({ system, resolve, workers }),
      busy: (busy) => this.#askBusy(busy),
      store: capabilities.store,
      lora: loraDesk(system, this.#models, this.#options.keepers, this.#settings.lora_updates),
      archive: this.#options.archive ?? archiveOver(capabilities),
      startAnswer,
      startEmbedding,
      findAnswer: (answer, hints, isEnough, mayAskAll) =>
        findHeld(holders, answer, hints, isEnough, mayAskAll),
      claims: claimsOver({
        ...{ system, resolve, workers, ids: capabilities.ids },
        claimer: () => wireOf(system, this.ctx.self),
      }),
      metrics,
      ...{ access: this.#options.access, limits: this.#options.limits },
      ...{ traces: this.#options.traces, book: this.#options.book },
      renderMetrics: this.#options.renderMetrics ?? (() => system.metrics.render()),
      page: this.#options.page,
      settings: this.#settings,
      planes: this.#options.planes ?? (() => []),
      router: this.#options.router ?? (() => undefined),
      crashLoops: this.#options.crashLoops ?? (() => []),
      idle: () => {
        if (this.#drain?.running === true) this.ctx.self.tell({ kind: "idle" });
      },
    });
    this.#door = door;
    const submit = submitThrough(door, (path) => placeOf(this.#settings.paths, path));
    const handle = (request: Request) => door.handle(request);
    this.#options.lends?.({ submit, handle, draining: () => door.draining });
    const { siblings = () => 0, listens } = this.#options;
    this.#drain = new DoorDrain({
      ...{ clock, door, siblings: share_port ? siblings : undefined },
      after: (delay_ms, message) => this.ctx.after(delay_ms, message),
      cancel: (timer) => this.ctx.cancel(timer),
      server: () => this.#server,
      left: () => listens?.(undefined),
    });
    this.ctx.every(LOOK_AGAIN_MS, { kind: "look_again" });
    if (share_port) {
      this.ctx.after(OPEN_LATE_MS, { kind: "open_late" });
      this.#openIfServing();
    } else {
      this.#opened(await this.#serve(door));
    }
  }

  override receive(message: FrontendMessage): void {
    switch (message.kind) {
      case "workers_are":
        this.#models.workersAre(message.workers);
        for (const { card } of message.workers) if (card !== undefined) this.#metrics?.model(card);
        this.#fetchBlobs();
        this.#openIfServing();
        return;
      case "worker_joined":
        this.#models.workerJoined(message.record);
        if (message.record.card !== undefined) this.#metrics?.model(message.record.card);
        this.#fetchBlobs();
        this.#openIfServing();
        return;
      case "worker_left":
        this.#models.workerLeft(message.worker);
        return;
      case "blob_came":
        this.#blobCame(message.hash, message.blob);
        this.#openIfServing();
        return;
      case "open_late":
        this.#open();
        return;
      case "opened":
        this.#opened(message.server);
        return;
      case "not_opened":
        throw message.error;
      case "look_again":
        this.#door?.tend();
        if (this.#server instanceof TlsServer) void this.#server.look();
        this.#models.forgetDeserted(this.ctx.clock.now_ms(), this.#settings.keep_model_ms);
        this.#fetchBlobs();
        return;
      case "drain":
        this.#drain?.start(message, this.ctx.replyLater());
        return;
      case "noticed":
      case "idle":
      case "drain_over":
        this.#drain?.receive(message);
        return;
      case "get_door":
        this.ctx.reply(this.#state());
    }
  }

  override async terminate(): Promise<void> {
    this.#closing = true;
    this.#door?.cut(SHUTTING_DOWN);
    this.#server?.drain();
    // The last events of answers leave with the next ticks; an immediate close would lose them.
    await pause(this.ctx.clock, FLUSH_MS);
  }

  /** Frees the port for the next life, and ends every live answer with an error. */
  override release(): void {
    this.#closing = true;
    this.#loop?.stop();
    this.#options.lends?.(undefined);
    this.#door?.cut(SHUTTING_DOWN);
    void this.#server?.close();
  }

  override inspect(): Snapshot {
    const models = this.#models.ready().map(({ name }) => name);
    return { ...this.#state(), models, blobs_on_their_way: [...this.#asked] };
  }

  #state(): DoorState {
    const draining = this.#door?.draining ?? false;
    return {
      host: this.#server?.host ?? this.#options.host,
      port: this.#server?.port ?? 0,
      health:
        this.#server === undefined ? "starting" : healthOf(this.#models, draining).body.status,
      live: this.#door?.live ?? 0,
    };
  }

  async #askBusy(busy: ModelBusy | undefined): Promise<BusyIs | undefined> {
    const router = this.#options.askedRouter?.();
    const change = busy === undefined ? {} : { busy };
    return router === undefined
      ? undefined
      : this.ctx
          .ask(router, { kind: "set_busy", ...change }, { deadline_ms: ROUTER_DEADLINE_MS })
          .catch(() => undefined);
  }

  async #serve(door: Door): Promise<HttpServer> {
    const { host, port, share_port, tls } = this.#options;
    const fetch = (request: Request, exchange: HttpExchange) => door.handle(request, exchange);
    const idle_ms = this.#settings.body_ms + IDLE_BEYOND_BODY_MS;
    const { net, files } = this.ctx.capabilities;
    const serve = { host, port, idle_ms, fetch };
    if (tls === undefined) return net.serve({ ...serve, share_port });
    const { clock, log } = this.ctx;
    return openTlsServer({ net, files, clock, log, paths: tls, serve });
  }

  #openIfServing(): void {
    if (this.#models.isComplete()) this.#open();
  }

  #open(): void {
    if (this.#opening || this.#server !== undefined || this.#drain?.running === true) return;
    if (this.#door === undefined) return;
    this.#opening = true;
    const { self } = this.ctx;
    this.#serve(this.#door).then(
      (server) => {
        if (this.#closing || !self.tell({ kind: "opened", server })) void server.close();
      },
      (error: unknown) => void self.tell({ kind: "not_opened", error }),
    );
  }

  #opened(server: HttpServer): void {
    this.#server = server;
    // When a drain came while the server was opening, others take the connections.
    if (this.#drain?.running === true) server.drain();
    else this.#options.listens?.(this.ctx.self);
  }

  #fetchBlobs(): void {
    for (const { hash, holders } of this.#models.wantedBlobs()) {
      // A holder may be gone, so each try picks one at random.
      const holder = holders[this.ctx.random.u32() % Math.max(1, holders.length)];
      if (holder === undefined || this.#asked.has(hash)) continue;
      this.#asked.add(hash);
      const came = (blob: Blob | undefined) =>
        this.ctx.self.tell({ kind: "blob_came", hash, blob });
      this.ctx
        .ask(
          this.#options.resolve(holder),
          { kind: "fetch_blob", hash },
          {
            deadline_ms: BLOB_DEADLINE_MS,
          },
        )
        .then(came, () => came(undefined));
    }
  }

  #blobCame(hash: string, blob: Blob | undefined): void {
    this.#asked.delete(hash);
    if (blob === undefined || !blob.found) return;
    if (hashBlob(blob.bytes) !== hash) {
      this.ctx.log.log(
        "warn",
        "a worker sent other bytes than the part of a model that it was asked for; asked again",
        { hash },
      );
      return;
    }
    for (const name of this.#models.blobArrived(hash, blob.bytes)) {
      const why = this.#models.whyBroken(name);
      this.ctx.log.log("error", `model ${name} cannot be served: ${why}`);
    }
  }
}
