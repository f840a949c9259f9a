/**
 * A DynamoGraphDeployment as a planner reads it, in both of its versions, and the patch that
 * changes it: pure functions. Pods have no names here: `decode-2` is the second one of the
 * component `decode`, and which pod goes is the operator's choice, as is its drain.
 */
import { z } from "zod";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";
import { WORKERS_MOST } from "./connector.ts";

/** Kept at the graph, so that a change which is asked again is joined by any planner. */
export const NOTE = "troupe.dev/planner";

const CHANGES_MAX = 32;
/** All annotations of an object have 256 KiB, and some are others'. */
const NOTE_BYTES_MAX = 192 * 1024;
const pods = z.number().int().min(0).max(WORKERS_MOST);

const noteForm = z.object({
  epoch: z.number().int().min(0).max(1e12),
  /** Whose pods these are; empty: of a planner that did not say it. */
  model: z.string().default(""),
  changes: z
    .array(
      z.object({
        change: z.string(),
        component: z.string(),
        from: pods,
        to: pods,
        workers: z.array(z.string()).max(WORKERS_MOST),
      }),
    )
    .max(CHANGES_MAX),
});
export type Note = z.infer<typeof noteForm>;
export type NotedChange = Note["changes"][number];

export const noNote: Note = { epoch: 0, model: "", changes: [] };

export type GraphComponent = {
  readonly name: string;
  readonly role: PlanRole;
  /** JSON pointer of the component. */
  readonly pointer: string;
  /** A scaling adapter owns the number. */
  readonly adapted: boolean;
  /** Wanted, there (also those that go), and serving. */
  readonly wanted: number;
  readonly there: number;
  readonly serving: number;
};

export type Graph = {
  readonly resource_version: string;
  readonly annotated: boolean;
  readonly note: Note;
  /** There is a note, and it cannot be read. */
  readonly note_broken: boolean;
  readonly ready: boolean;
  /** Why it is not ready, in the operator's words. */
  readonly why: string;
  /** Unix time; undefined: the operator does not say. */
  readonly since_ms: number | undefined;
  /** The operator has given up. */
  readonly failed: boolean;
  readonly components: readonly GraphComponent[];
};

const count = pods.optional();
const component = z.looseObject({
  name: z.string().optional(),
  type: z.string().optional(),
  componentType: z.string().optional(),
  subComponentType: z.string().optional(),
  replicas: count,
  scalingAdapter: z.looseObject({ enabled: z.boolean().optional() }).nullish(),
});
const counts = z.looseObject({
  replicas: count,
  readyReplicas: count,
  availableReplicas: count,
});
const condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  message: z.string().optional(),
  reason: z.string().optional(),
  lastTransitionTime: z.string().optional(),
});
const graphForm = z.looseObject({
  metadata: z.looseObject({
    resourceVersion: z.string(),
    generation: z.number().optional(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.looseObject({
    components: z.array(component).optional(),
    services: z.record(z.string(), component).optional(),
  }),
  status: z
    .looseObject({
      state: z.string().optional(),
      observedGeneration: z.number().optional(),
      conditions: z.array(condition).optional(),
      components: z.record(z.string(), counts).optional(),
      services: z.record(z.string(), counts).optional(),
    })
    .nullish(),
});

type Component = z.infer<typeof component>;
type Mode = PlannerConfig["mode"];

/** Throws GraphFormError, one line, when it is no graph deployment that can be believed. */
export function graphOf(body: unknown, mode: Mode): Graph {
  const { metadata, spec, status } = formed(graphForm, body, "the graph");
  const noted = noteOf(metadata.annotations?.[NOTE]);
  const generation = metadata.generation ?? 0;
  const listed = (spec.components ?? []).map((one, i) => {
    return { one, name: one.name ?? "", pointer: `/spec/components/${i}` };
  });
  const mapped = Object.entries(spec.services ?? {}).map(([name, one]) => {
    return { one, name, pointer: `/spec/services/${escaped(name)}` };
  });
  const told = status?.components ?? status?.services ?? {};
  const components = [...listed, ...mapped].flatMap(({ one, name, pointer }): GraphComponent[] => {
    const role = roleOf(name, one, mode);
    if (role === undefined) return [];
    const has = told[name] ?? {};
    const serving = has.availableReplicas ?? has.readyReplicas ?? 0;
    const there = Math.max(has.replicas ?? serving, serving);
    // A version-1 adapter says whether it is on; in a later one it is on where it stands.
    const adapted = one.scalingAdapter != null && one.scalingAdapter.enabled !== false;
    return [{ name, role, pointer, adapted, wanted: one.replicas ?? 1, there, serving }];
  });
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  const since_ms = new Date(ready?.lastTransitionTime ?? "").getTime();
  return {
    resource_version: metadata.resourceVersion,
    annotated: metadata.annotations != null,
    note: noted ?? noNote,
    note_broken: noted === undefined,
    ready: ready === undefined ? status?.state === "successful" : ready.status === "True",
    why: ready?.message || ready?.reason || status?.state || "the operator says nothing of it",
    since_ms: Number.isFinite(since_ms) ? since_ms : undefined,
    // Not of what was wanted before.
    failed: status?.state === "failed" && (status.observedGeneration ?? generation) >= generation,
    components,
  };
}

/** Undefined: it is broken. */
function noteOf(text: string | undefined): Note | undefined {
  if (text === undefined) return noNote;
  try {
    return noteForm.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** What the API server says is not in the form that is expected. */
export class GraphFormError extends Error {
  override readonly name = "GraphFormError";
  readonly code = "graph_form";
}

function formed<Form extends z.ZodType>(form: Form, body: unknown, what: string): z.infer<Form> {
  const read = form.safeParse(body);
  if (read.success) return read.data;
  const [{ path, message } = { path: [], message: "" }] = read.error.issues;
  throw new GraphFormError(
    `${what} is not as expected at ${path.join(".") || "its root"}: ${message}`,
  );
}

const scaleForm = z.looseObject({ spec: z.looseObject({ replicas: count }).optional() });

/** Replicas that a scaling adapter wants; undefined: it does not say. Throws GraphFormError. */
export const adaptedOf = (body: unknown, name: string): number | undefined =>
  formed(scaleForm, body, `the scaling adapter of ${name}`).spec?.replicas;

const groupForm = z.looseObject({ versions: z.array(z.looseObject({ version: z.string() })) });

/** Versions of an API group. Throws GraphFormError. */
export const versionsOf = (body: unknown): readonly string[] =>
  formed(groupForm, body, "the list of versions").versions.map(({ version }) => version);

/** By its type, then by its sub-type, then by its name, as older graphs have "worker" alone. */
function roleOf(name: string, one: Component, mode: Mode): PlanRole | undefined {
  const type = (one.type ?? one.componentType ?? "").toLowerCase();
  const sub = (one.subComponentType ?? "").toLowerCase();
  const given = [type, sub].find((each) => each === "prefill" || each === "decode");
  if (given === undefined && type !== "" && type !== "worker") return undefined;
  const [byName] = /prefill|decode|worker/i.exec(name) ?? [];
  const kind = given ?? byName?.toLowerCase() ?? (type === "worker" ? "worker" : undefined);
  if (kind === undefined) return undefined;
  if (mode === "agg") return kind === "prefill" ? undefined : "aggregated";
  return kind === "prefill" ? "prefill" : "decode";
}

const escaped = (part: string): string => part.replaceAll("~", "~0").replaceAll("/", "~1");

export const podName = ({ name }: Pick<GraphComponent, "name">, place: number): string =>
  `${name}-${place}`;

/** The component of a worker by its name here; undefined: there is no such worker. */
export function componentOf(graph: Graph, worker: string): GraphComponent | undefined {
  const at = worker.lastIndexOf("-");
  const place = Number(worker.slice(at + 1));
  return graph.components.find(
    (each) => each.name === worker.slice(0, at) && place >= 1 && place <= mostOf(each),
  );
}

const mostOf = ({ wanted, there }: GraphComponent): number => Math.max(wanted, there);

/** Whether it is one of those that do not serve yet. */
export const isStarting = (one: GraphComponent, worker: string): boolean =>
  Number(worker.slice(worker.lastIndexOf("-") + 1)) > one.serving;

export const roleIn = (graph: Graph, role: PlanRole): GraphComponent | string => {
  const [one, ...others] = graph.components.filter((each) => each.role === role);
  if (one === undefined) return `the graph has no ${role} component`;
  if (others.length === 0) return one;
  return `the graph has several ${role} components: ${[one, ...others].map(({ name }) => name)}`;
};

export type Operation =
  | { readonly op: "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: unknown };

/** Counts and note in one patch, refused when anybody has changed the graph since it was read. */
export function patchOf(
  graph: Graph,
  { epoch, model }: Pick<Note, "epoch" | "model">,
  changes: readonly NotedChange[],
): Operation[] {
  const kept = [...graph.note.changes, ...changes].slice(-CHANGES_MAX);
  const write = () => JSON.stringify({ epoch, model, changes: kept } satisfies Note);
  let note = write();
  // The oldest go: they were carried out, or given up, long ago.
  while (Buffer.byteLength(note) > NOTE_BYTES_MAX && kept.length > changes.length) {
    kept.shift();
    note = write();
  }
  const counts_now = new Map(changes.map(({ component: name, to }) => [name, to]));
  const numbers = graph.components.flatMap((each): Operation[] => {
    const value = counts_now.get(each.name);
    if (value === undefined || each.adapted) return [];
    return [{ op: "add", path: `${each.pointer}/replicas`, value }];
  });
  return [
    { op: "replace", path: "/metadata/resourceVersion", value: graph.resource_version },
    ...(graph.annotated ? [] : [{ op: "add", path: "/metadata/annotations", value: {} } as const]),
    { op: "add", path: `/metadata/annotations/${escaped(NOTE)}`, value: note },
    ...numbers,
  ];
}
