/** The table of views: one line each, in the order of the navigation. */
import { ActorView } from "./actor/actor-view.tsx";
import { OperateView } from "./operate/operate-view.tsx";
import { TreeView } from "./tree/tree-view.tsx";
import type { View } from "./view.ts";

export type { View } from "./view.ts";

export const views: readonly View[] = [
  { id: "tree", title: "Tree", icon: "tree", component: TreeView },
  { id: "operate", title: "Operate", icon: "operate", component: OperateView },
  { id: "actor", title: "Actor", icon: "tree", component: ActorView, hidden: true, within: "tree" },
];
