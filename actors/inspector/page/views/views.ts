/** The table of views: one line each, in the order of the navigation. */
import { ActorView } from "./actor/actor-view.tsx";
import { ChatView } from "./chat/chat-view.tsx";
import { KvView } from "./kv/kv-view.tsx";
import { LoadView } from "./load/load-view.tsx";
import { OperateView } from "./operate/operate-view.tsx";
import { PlannerView } from "./planner/planner-view.tsx";
import { RequestsView } from "./requests/requests-view.tsx";
import { TreeView } from "./tree/tree-view.tsx";
import type { View } from "./view.ts";

export type { View } from "./view.ts";

export const views: readonly View[] = [
  { id: "tree", title: "Tree", icon: "tree", component: TreeView },
  { id: "requests", title: "Requests", icon: "requests", component: RequestsView },
  { id: "kv", title: "KV cache", icon: "kv", component: KvView },
  { id: "load", title: "Load", icon: "load", component: LoadView },
  { id: "planner", title: "Planner", icon: "planner", component: PlannerView },
  {
    ...{ id: "chat", title: "Chat", icon: "chat", component: ChatView },
    modes: ["inspector", "chat"],
  },
  { id: "operate", title: "Operate", icon: "operate", component: OperateView },
  { id: "actor", title: "Actor", icon: "tree", component: ActorView, hidden: true, within: "tree" },
];
