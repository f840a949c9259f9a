/**
 * The wire truth in one place: protocol version, size limits, every message that may cross a
 * process edge with its stable type id, and the unions that roles speak. No logic.
 */
import type { Ask } from "./ask.ts";
import { troupe as codecs } from "./gen/messages.js";
import type * as t from "./gen/types.ts";

export type { Ask, ReplyOf } from "./ask.ts";
export type {
  ActorEntry,
  ActorRef,
  Adapter,
  AdapterFile,
  AnswerParsing as WireAnswerParsing,
  BeginTimes,
  CachedFrom,
  ChoiceFrom,
  ChoiceStart,
  ChoiceTokens,
  CostPart,
  Counted,
  Detail,
  Drafts,
  Embedding,
  ExitReason as WireExit,
  FinishReason,
  HandOff,
  HeldAnswer,
  KeyLimits,
  KserveInferRequest,
  KserveInferResponse,
  KserveInputTensor,
  KserveModelConfig,
  KserveModelMetadata,
  KserveOutputTensor,
  KserveParameter,
  KvEvent as WireKvEvent,
  KvIdentity,
  LogitBias,
  ModelBusy,
  ModelCapabilities,
  ModelCard,
  ModelFigures,
  ModelHeads,
  PassSums as WirePassSums,
  PlanLeg,
  PoolKind,
  PoolWorker,
  RefusalCode,
  RequestRow,
  Resumable,
  ResumeContext,
  RetiredWorker,
  RouteChoice,
  RouteCost,
  RoutedRequest,
  RoutedSession,
  RouteHints,
  RouteOutcome,
  RouteReasons,
  RouterWeights,
  SamplingParams,
  Summed,
  TaintWeight,
  TokenLogprob,
  TreeNode,
  TreeRow,
  WorkerFailure,
  WorkerFigures,
  WorkerRecord,
  WorkerRole,
} from "./gen/types.ts";

export { codecs };

/** Raised whenever an older peer would misread us; checked in the first frame. */
export const PROTOCOL_VERSION = 3;
/** The largest frame of any transport, in bytes; a longer one is refused by its sender. */
export const FRAME_LIMIT_BYTES = 32 * 1024 * 1024;

type Kind<K extends string, T> = T & { readonly kind: K };

// inference: stream ↔ worker
export type Accepted = Kind<"accepted", t.Accepted>;
export type Refused = Kind<"refused", t.Refused>;
export type Generate = Kind<"generate", t.Generate> & Ask<Accepted | Refused>;
export type TokenBatch = Kind<"token_batch", t.TokenBatch>;
export type Finished = t.Finished;
export type Credit = Kind<"credit", t.Credit>;
export type Cancel = Kind<"cancel", t.Cancel>;
export type Detach = Kind<"detach", t.Detach>;
export type HandOffIs = Kind<"hand_off_is", t.HandOffIs>;
export type FirstDrawn = Kind<"first_drawn", t.FirstDrawn>;
export type HeldAnswers = Kind<"held_answers", t.HeldAnswers>;
export type FindAnswer = Kind<"find_answer", t.FindAnswer> & Ask<HeldAnswers>;
export type Attach = Kind<"attach", t.Attach> & Ask<Accepted | Refused>;
export type Claimed = Kind<"claimed", t.Claimed>;
export type Claim = Kind<"claim", t.Claim> & Ask<Claimed>;
export type Embeddings = Kind<"embeddings", t.Embeddings>;
export type Embed = Kind<"embed", t.Embed> & Ask<Embeddings | Refused>;

// model: cards, blobs, load
export type Blob = Kind<"blob", t.Blob>;
export type FetchBlob = Kind<"fetch_blob", t.FetchBlob> & Ask<Blob>;
export type WorkerLoad = Kind<"worker_load", t.WorkerLoad>;
export type WorkerNews = Kind<"worker_news", t.WorkerNews>;
export type AdapterSet = Kind<"adapter_set", t.AdapterSet>;
export type FollowAdapters = Kind<"follow_adapters", t.FollowAdapters> & Ask<AdapterSet>;
export type AdapterDone = Kind<"adapter_done", t.AdapterDone>;
export type LoadAdapter = Kind<"load_adapter", t.LoadAdapter> & Ask<AdapterDone>;
export type UnloadAdapter = Kind<"unload_adapter", t.UnloadAdapter> & Ask<AdapterDone>;
export type SubscribeLoad = Kind<"subscribe_load", t.SubscribeLoad>;

// kv: what a worker's cache holds, worker ↔ router
export type KvEvents = Kind<"kv_events", t.KvEvents>;
export type KvSubscribed = Kind<"kv_subscribed", t.KvSubscribed>;
export type SubscribeKv = Kind<"subscribe_kv", t.SubscribeKv> & Ask<KvSubscribed>;
export type KvRange = Kind<"kv_range", t.KvRange>;
export type FetchKvEvents = Kind<"fetch_kv_events", t.FetchKvEvents> & Ask<KvRange>;
export type KvDumpPage = Kind<"kv_dump_page", t.KvDumpPage>;
export type FetchKvDump = Kind<"fetch_kv_dump", t.FetchKvDump> & Ask<KvDumpPage>;
export type KvCleared = Kind<"kv_cleared", t.KvCleared>;
export type ClearKv = Kind<"clear_kv", t.ClearKv> & Ask<KvCleared>;

// kv beyond the engines: worker ↔ the keeper of its machine's blocks
export type KvSpace = Kind<"kv_space", t.KvSpace>;
export type OpenKvSpace = Kind<"open_kv_space", t.OpenKvSpace> & Ask<KvSpace>;
export type KvSlots = Kind<"kv_slots", t.KvSlots>;
export type ReserveKv = Kind<"reserve_kv", t.ReserveKv> & Ask<KvSlots>;
export type KvFilled = Kind<"kv_filled", t.KvFilled>;
export type KvFound = Kind<"kv_found", t.KvFound>;
export type FindKv = Kind<"find_kv", t.FindKv> & Ask<KvFound>;
export type KvArrived = Kind<"kv_arrived", t.KvArrived>;
export type KvTierNews = Kind<"kv_tier_news", t.KvTierNews>;
export type PrefetchKv = Kind<"prefetch_kv", t.PrefetchKv>;
export type ReleaseKv = Kind<"release_kv", t.ReleaseKv>;
export type KvWriting = Kind<"kv_writing", t.KvWriting>;
export type KvWritten = Kind<"kv_written", t.KvWritten>;
// kv: keepers of several machines
export type PeerFoundKv = Kind<"peer_found_kv", t.PeerFoundKv>;
export type PeerFindKv = Kind<"peer_find_kv", t.PeerFindKv> & Ask<PeerFoundKv>;
export type PeerOfferKv = Kind<"peer_offer_kv", t.PeerOfferKv>;
/** What the keeper of a machine's blocks understands. */
export type KvKeeperMessage =
  | OpenKvSpace
  | ReserveKv
  | KvFilled
  | FindKv
  | PrefetchKv
  | ReleaseKv
  | KvWriting
  | KvWritten
  | PeerFindKv
  | PeerOfferKv;

// router: stream ↔ router
export type Plan = Kind<"plan", t.Plan>;
export type Route = Kind<"route", t.Route> & Ask<Plan | Refused>;
export type RouteFirst = Kind<"route_first", t.RouteFirst>;
export type RouteEnded = Kind<"route_ended", t.RouteEnded>;
export type RouterNews = Kind<"router_news", t.RouterNews>;
export type BusyIs = Kind<"busy_is", t.BusyIs>;
export type SetBusy = Kind<"set_busy", t.SetBusy> & Ask<BusyIs>;
export type RouterJoin = Kind<"router_join", t.RouterJoin>;
export type WeightsAre = Kind<"weights_are", t.WeightsAre>;
export type SetWeights = Kind<"set_weights", t.SetWeights> & Ask<WeightsAre>;
/** What the routers of several frontends tell each other. */
export type PeerMessage = RouterNews | RouterJoin;

// limits: frontend ↔ the limits actor of its root
export type Reserved = Kind<"reserved", t.Reserved>;
export type Reserve = Kind<"reserve", t.Reserve> & Ask<Reserved>;
export type Settle = Kind<"settle", t.Settle>;
/** What the limits actor understands. */
export type LimitsMessage = Reserve | Settle;

// pool: a person or a planner ↔ the pool of a machine's workers
export type WorkersAdded = Kind<"workers_added", t.WorkersAdded>;
export type AddWorkers = Kind<"add_workers", t.AddWorkers> & Ask<WorkersAdded>;
export type WorkersRetired = Kind<"workers_retired", t.WorkersRetired>;
export type RetireWorkers = Kind<"retire_workers", t.RetireWorkers> & Ask<WorkersRetired>;
export type Pool = Kind<"pool", t.Pool>;
export type GetPool = Kind<"get_pool", t.GetPool> & Ask<Pool>;
/** What the pool of a machine's workers understands. */
export type PoolMessage = AddWorkers | RetireWorkers | GetPool;

// control
export type Progress = Kind<"progress", t.Progress>;
export type Drained = Kind<"drained", t.Drained>;
export type Drain = Kind<"drain", t.Drain> & Ask<Drained>;
export type HandOver = Kind<"hand_over", t.HandOver>;
export type RoleChanged = Kind<"role_changed", t.RoleChanged>;
export type ChangeRole = Kind<"change_role", t.ChangeRole> & Ask<RoleChanged>;
export type Probed = Kind<"probed", t.Probed>;
export type Probe = Kind<"probe", t.Probe> & Ask<Probed>;
export type FaultsSet = Kind<"faults_set", t.FaultsSet>;
export type SetFaults = Kind<"set_faults", t.SetFaults> & Ask<FaultsSet>;
export type ProcessFaulted = Kind<"process_faulted", t.ProcessFaulted>;
export type FaultProcess = Kind<"fault_process", t.FaultProcess> & Ask<ProcessFaulted>;

// inspect: anybody ↔ the inspector actor of a process
export type Tree = Kind<"tree", t.Tree>;
export type GetTree = Kind<"get_tree", t.GetTree> & Ask<Tree>;
export type Snapshot = Kind<"snapshot", t.Snapshot>;
export type GetSnapshot = Kind<"get_snapshot", t.GetSnapshot> & Ask<Snapshot>;
export type ProcessInfo = Kind<"process_info", t.ProcessInfo>;
export type GetProcess = Kind<"get_process", t.GetProcess> & Ask<ProcessInfo>;
export type ControlDone = Kind<"control_done", t.ControlDone>;
export type ControlActor = Kind<"control_actor", t.ControlActor> & Ask<ControlDone>;
export type TreeDelta = Kind<"tree_delta", t.TreeDelta>;
export type GetTreeDelta = Kind<"get_tree_delta", t.GetTreeDelta> & Ask<TreeDelta>;
export type EndWatch = Kind<"end_watch", t.EndWatch>;
export type ActorPage = Kind<"actor_page", t.ActorPage>;
export type GetActor = Kind<"get_actor", t.GetActor> & Ask<ActorPage>;

// figures: the root ↔ the inspector actor of a process
export type LoadFigures = Kind<"load_figures", t.LoadFigures>;
export type GetLoad = Kind<"get_load", t.GetLoad> & Ask<LoadFigures>;
export type Details = Kind<"details", t.Details>;
export type GetDetails = Kind<"get_details", t.GetDetails> & Ask<Details>;
// requests: anybody ↔ the inspector actor of a frontend
export type RequestList = Kind<"request_list", t.RequestList>;
export type GetRequests = Kind<"get_requests", t.GetRequests> & Ask<RequestList>;
export type RequestSaid = Kind<"request_said", t.RequestSaid>;
export type GetRequest = Kind<"get_request", t.GetRequest> & Ask<RequestSaid>;

/** What a worker's cache is asked for. */
export type KvSourceMessage = SubscribeKv | FetchKvEvents | FetchKvDump | ClearKv;
/** What a worker understands. */
export type WorkerMessage =
  | Generate
  | Credit
  | Cancel
  | Detach
  | HandOffIs
  | FirstDrawn
  | FindAnswer
  | Attach
  | Claim
  | Embed
  | FetchBlob
  | SubscribeLoad
  | KvArrived
  | KvTierNews
  | PrefetchKv
  | KvSourceMessage
  | LoadAdapter
  | UnloadAdapter
  | Drain
  | ChangeRole
  | Probe;
/** What the consumer of an answer understands from a worker. */
export type ConsumerMessage = TokenBatch | HandOver;
/** What a router understands, beside what its own timers and watches tell it. */
export type RouterMessage =
  | Route
  | RouteFirst
  | RouteEnded
  | WorkerLoad
  | WorkerNews
  | KvEvents
  | SetBusy
  | SetWeights
  | PeerMessage;
/** What the keeper of a machine's adapters understands. */
export type AdapterMessage = FollowAdapters | LoadAdapter | UnloadAdapter;
/** What the inspector actor of every process understands. */
export type InspectMessage =
  | GetTree
  | GetSnapshot
  | GetProcess
  | ControlActor
  | GetTreeDelta
  | EndWatch
  | GetActor
  | FaultProcess
  | GetLoad
  | GetDetails
  | GetRequests
  | GetRequest;
/** What the fault actor of a process understands. */
export type FaultMessage = SetFaults;

/**
 * Type ids are never reused. 1–63 belong to `runtime/` (envelope.proto, registry.proto), the rest
 * is split by domain: 64 inference, 80 kv, 96 model, 104 router, 112 control, 120 limits,
 * 128 and 180 inspect, 136 kv beyond the engines, 160 pool, 168 router weights,
 * 170 requests, 174 process faults, 190 figures.
 */
export const messageTable = [
  { id: 64, kind: "generate", codec: codecs.Generate },
  { id: 65, kind: "accepted", codec: codecs.Accepted },
  { id: 66, kind: "refused", codec: codecs.Refused },
  { id: 67, kind: "token_batch", codec: codecs.TokenBatch },
  { id: 68, kind: "credit", codec: codecs.Credit },
  { id: 69, kind: "cancel", codec: codecs.Cancel },
  { id: 70, kind: "embed", codec: codecs.Embed },
  { id: 71, kind: "embeddings", codec: codecs.Embeddings },
  { id: 72, kind: "detach", codec: codecs.Detach },
  { id: 73, kind: "find_answer", codec: codecs.FindAnswer },
  { id: 74, kind: "held_answers", codec: codecs.HeldAnswers },
  { id: 75, kind: "attach", codec: codecs.Attach },
  { id: 76, kind: "claim", codec: codecs.Claim },
  { id: 77, kind: "claimed", codec: codecs.Claimed },
  { id: 78, kind: "hand_off_is", codec: codecs.HandOffIs },
  { id: 79, kind: "first_drawn", codec: codecs.FirstDrawn },
  { id: 80, kind: "subscribe_kv", codec: codecs.SubscribeKv },
  { id: 81, kind: "kv_subscribed", codec: codecs.KvSubscribed },
  { id: 82, kind: "kv_events", codec: codecs.KvEvents },
  { id: 83, kind: "fetch_kv_events", codec: codecs.FetchKvEvents },
  { id: 84, kind: "kv_range", codec: codecs.KvRange },
  { id: 85, kind: "fetch_kv_dump", codec: codecs.FetchKvDump },
  { id: 86, kind: "kv_dump_page", codec: codecs.KvDumpPage },
  { id: 87, kind: "clear_kv", codec: codecs.ClearKv },
  { id: 88, kind: "kv_cleared", codec: codecs.KvCleared },
  { id: 96, kind: "fetch_blob", codec: codecs.FetchBlob },
  { id: 97, kind: "blob", codec: codecs.Blob },
  { id: 98, kind: "worker_load", codec: codecs.WorkerLoad },
  { id: 99, kind: "subscribe_load", codec: codecs.SubscribeLoad },
  { id: 100, kind: "worker_news", codec: codecs.WorkerNews },
  { id: 101, kind: "follow_adapters", codec: codecs.FollowAdapters },
  { id: 102, kind: "adapter_set", codec: codecs.AdapterSet },
  { id: 103, kind: "load_adapter", codec: codecs.LoadAdapter },
  { id: 104, kind: "route", codec: codecs.Route },
  { id: 105, kind: "plan", codec: codecs.Plan },
  { id: 106, kind: "route_ended", codec: codecs.RouteEnded },
  { id: 107, kind: "route_first", codec: codecs.RouteFirst },
  { id: 108, kind: "router_news", codec: codecs.RouterNews },
  { id: 109, kind: "router_join", codec: codecs.RouterJoin },
  { id: 110, kind: "set_busy", codec: codecs.SetBusy },
  { id: 111, kind: "busy_is", codec: codecs.BusyIs },
  { id: 112, kind: "progress", codec: codecs.Progress },
  { id: 113, kind: "drain", codec: codecs.Drain },
  { id: 114, kind: "drained", codec: codecs.Drained },
  { id: 115, kind: "hand_over", codec: codecs.HandOver },
  { id: 116, kind: "probe", codec: codecs.Probe },
  { id: 117, kind: "probed", codec: codecs.Probed },
  { id: 118, kind: "change_role", codec: codecs.ChangeRole },
  { id: 119, kind: "role_changed", codec: codecs.RoleChanged },
  { id: 120, kind: "reserve", codec: codecs.Reserve },
  { id: 121, kind: "reserved", codec: codecs.Reserved },
  { id: 122, kind: "settle", codec: codecs.Settle },
  { id: 123, kind: "unload_adapter", codec: codecs.UnloadAdapter },
  { id: 124, kind: "adapter_done", codec: codecs.AdapterDone },
  { id: 126, kind: "set_faults", codec: codecs.SetFaults },
  { id: 127, kind: "faults_set", codec: codecs.FaultsSet },
  { id: 128, kind: "get_tree", codec: codecs.GetTree },
  { id: 129, kind: "tree", codec: codecs.Tree },
  { id: 130, kind: "get_snapshot", codec: codecs.GetSnapshot },
  { id: 131, kind: "snapshot", codec: codecs.Snapshot },
  { id: 132, kind: "get_process", codec: codecs.GetProcess },
  { id: 133, kind: "process_info", codec: codecs.ProcessInfo },
  { id: 134, kind: "control_actor", codec: codecs.ControlActor },
  { id: 135, kind: "control_done", codec: codecs.ControlDone },
  { id: 136, kind: "open_kv_space", codec: codecs.OpenKvSpace },
  { id: 137, kind: "kv_space", codec: codecs.KvSpace },
  { id: 138, kind: "reserve_kv", codec: codecs.ReserveKv },
  { id: 139, kind: "kv_slots", codec: codecs.KvSlots },
  { id: 140, kind: "kv_filled", codec: codecs.KvFilled },
  { id: 141, kind: "find_kv", codec: codecs.FindKv },
  { id: 142, kind: "kv_found", codec: codecs.KvFound },
  { id: 143, kind: "kv_arrived", codec: codecs.KvArrived },
  { id: 144, kind: "release_kv", codec: codecs.ReleaseKv },
  { id: 145, kind: "kv_writing", codec: codecs.KvWriting },
  { id: 146, kind: "kv_written", codec: codecs.KvWritten },
  { id: 147, kind: "peer_find_kv", codec: codecs.PeerFindKv },
  { id: 148, kind: "peer_found_kv", codec: codecs.PeerFoundKv },
  { id: 149, kind: "peer_offer_kv", codec: codecs.PeerOfferKv },
  { id: 150, kind: "kv_tier_news", codec: codecs.KvTierNews },
  { id: 151, kind: "prefetch_kv", codec: codecs.PrefetchKv },
  { id: 160, kind: "add_workers", codec: codecs.AddWorkers },
  { id: 161, kind: "workers_added", codec: codecs.WorkersAdded },
  { id: 162, kind: "retire_workers", codec: codecs.RetireWorkers },
  { id: 163, kind: "workers_retired", codec: codecs.WorkersRetired },
  { id: 164, kind: "get_pool", codec: codecs.GetPool },
  { id: 165, kind: "pool", codec: codecs.Pool },
  { id: 168, kind: "set_weights", codec: codecs.SetWeights },
  { id: 169, kind: "weights_are", codec: codecs.WeightsAre },
  { id: 174, kind: "fault_process", codec: codecs.FaultProcess },
  { id: 175, kind: "process_faulted", codec: codecs.ProcessFaulted },
  { id: 180, kind: "get_tree_delta", codec: codecs.GetTreeDelta },
  { id: 181, kind: "tree_delta", codec: codecs.TreeDelta },
  { id: 182, kind: "get_actor", codec: codecs.GetActor },
  { id: 183, kind: "actor_page", codec: codecs.ActorPage },
  { id: 184, kind: "end_watch", codec: codecs.EndWatch },
  { id: 190, kind: "get_load", codec: codecs.GetLoad },
  { id: 191, kind: "load_figures", codec: codecs.LoadFigures },
  { id: 192, kind: "get_details", codec: codecs.GetDetails },
  { id: 193, kind: "details", codec: codecs.Details },
  { id: 170, kind: "get_requests", codec: codecs.GetRequests },
  { id: 171, kind: "request_list", codec: codecs.RequestList },
  { id: 172, kind: "get_request", codec: codecs.GetRequest },
  { id: 173, kind: "request_said", codec: codecs.RequestSaid },
] as const;
