/** What a graph says of its workers, of a noted change, and of who may change it. Pure. */
import type { PoolView } from "./connector.ts";
import {
  type Graph,
  type GraphComponent,
  NOTE,
  type Note,
  type NotedChange,
  podName,
} from "./kubernetes-graph.ts";

/** Who asks for a change. */
export type Asking = Pick<Note, "epoch" | "model">;

export type Ended = {
  readonly kind: "done" | "failed" | "refused";
  readonly workers: readonly string[];
  readonly why: string;
};

/** Undefined: a planner of this model and epoch may decide. */
export function whyNot(note: Note, { epoch, model }: Asking): string | undefined {
  if (note.epoch > epoch) {
    return `another planner decides with epoch ${note.epoch}, this one has ${epoch}`;
  }
  if (note.model === "" || note.model === model) return undefined;
  return (
    `this graph is planned for ${note.model}, not for ${model}: name one model with model_name, or ` +
    `remove the annotation ${NOTE} if ${note.model} is no more`
  );
}

export function workersOf(one: GraphComponent): PoolView["workers"] {
  return Array.from({ length: Math.max(one.wanted, one.there) }, (_, i) => {
    const starts = i < one.wanted && i >= one.serving;
    const state = starts ? "starting" : i < one.wanted ? "serving" : "retiring";
    return { worker: podName(one, i + 1), machine: "kubernetes", role: one.role, state } as const;
  });
}

/** Of those that a change brings, those that serve. */
export function servingOf(graph: Graph, { component, from, to, workers }: NotedChange): string[] {
  const serving = graph.components.find(({ name }) => name === component)?.serving ?? 0;
  return to <= from ? [] : workers.slice(0, Math.max(0, serving - from));
}

/** Undefined: it goes on. A change of a role is two changes of numbers. */
export function endOf(graph: Graph, change: string): Ended | undefined {
  const { changes } = graph.note;
  const mine = changes.filter((each) => each.change === change);
  if (mine.length === 0) {
    return { kind: "failed", workers: [], why: `the graph knows of no change ${change} any more` };
  }
  const comes = mine.filter(({ from, to }) => to > from);
  for (const each of mine) {
    const one = graph.components.find(({ name }) => name === each.component);
    if (one === undefined) {
      return { kind: "failed", workers: [], why: `the component ${each.component} is gone` };
    }
    const later = changes.slice(changes.lastIndexOf(each)).filter((other) => {
      return other.component === each.component;
    });
    if (each.to < each.from) {
      if (one.there > Math.max(...later.map(({ to }) => to))) return undefined;
      continue;
    }
    if (one.serving >= each.to) continue;
    if (one.wanted >= each.to) return undefined;
    const by = later.length > 1 ? "a later change" : "somebody else";
    const why = `${by} wants ${one.wanted} of ${one.name} before all ${each.to} served`;
    return { kind: "failed", workers: servingOf(graph, each), why };
  }
  const told = comes.length > 0 ? comes : mine;
  return { kind: "done", workers: told.flatMap(({ workers }) => workers), why: "" };
}
