/** What the inspector's routes and its live feed say of actors, as JSON. */
import type { Act } from "../../acts/act-log.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export type Me = {
  readonly version: string;
  readonly namespace: string;
  readonly can_act: boolean;
  readonly read_only: boolean;
  readonly token_needed: boolean;
  /** Where clients of the API ask; null: this machine has no door. */
  readonly openai: string | null;
  readonly machine: string;
};

export type NodeKind = "supervisor" | "actor" | "process";

export type TreeRow = {
  /** Node and path. */
  readonly id: string;
  readonly node?: string;
  readonly path: string;
  readonly kind: NodeKind;
  readonly role: string;
  readonly pid: number;
  readonly state: string;
  readonly restarts: number;
  readonly mailbox: number;
  readonly oldest_ms?: number;
  readonly handled: number;
  /** Messages a second. */
  readonly rate?: number;
  readonly ms_per_message?: number;
  readonly children: readonly string[];
  /** Children that are not listed, because the busiest of many like them are. */
  readonly more?: number;
  readonly last_crash?: string;
  readonly resident_bytes?: number;
};

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** One message that a watched actor took, with its state before and after. */
export type Entry = {
  readonly seq: number;
  readonly at_ms: number;
  readonly waited_ms: number;
  readonly took_ms: number;
  readonly kind: string;
  readonly from: string | null;
  readonly ask: boolean;
  readonly trace_id?: string;
  readonly message: Json;
  readonly before: Json;
  readonly after: Json;
  readonly crashed?: string;
};

export type DeadLetter = { readonly kind: string; readonly why: string; readonly at_ms: number };

export type Crash = {
  readonly at_ms: number;
  readonly context: string;
  readonly reason: string;
  readonly stack?: string;
  readonly restarts: number;
};

export type ActorPage = {
  readonly id: string;
  readonly node: string;
  readonly path: string;
  readonly row?: TreeRow;
  readonly snapshot: Json;
  readonly relations?: {
    readonly parent: string | null;
    readonly children: readonly string[];
    readonly monitors: readonly string[];
    readonly watchers: number;
  };
  readonly dead_letters?: readonly DeadLetter[];
  readonly crashes?: readonly Crash[];
  readonly entries?: readonly Entry[];
};

export type Topic = "tree" | "actor" | "requests" | "request" | "load" | "kv" | "acts" | "planner";

export type TreeFrame = {
  readonly topic: "tree";
  readonly full: boolean;
  readonly at_ms: number;
  readonly nodes: readonly TreeRow[];
  readonly gone: readonly string[];
};

export type ActorFrame = {
  readonly topic: "actor";
  readonly id: string;
  readonly entries: readonly Entry[];
  readonly dropped: number;
};

export type ActsFrame = { readonly topic: "acts"; readonly acts: readonly Act[] };

/** The frames of requests, load and blocks are read where they are shown. */
export type OtherFrame = { readonly topic: Exclude<Topic, "tree" | "actor" | "acts"> };

export type Frame = TreeFrame | ActorFrame | ActsFrame | OtherFrame;
