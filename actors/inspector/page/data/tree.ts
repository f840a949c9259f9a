/** The one tree of the page: frames are taken in once a frame of the screen. */
import { live, useWants } from "./feed.ts";
import { Store } from "./store.ts";
import { type Restart, TreeModel } from "./tree-model.ts";
import type { TreeFrame } from "./types.ts";
import { atNextFrame, useStore } from "./use-store.ts";

export const tree = new TreeModel();

/** Changes whenever the tree does. */
export const treeVersion = new Store(0);

/** The latest restarts, newest last, to be read out. */
export const restarted = new Store<readonly Restart[]>([]);

const KEPT_RESTARTS = 3;
const waiting: TreeFrame[] = [];

/** Of what waits, a full frame makes all before it needless. */
live.on("tree", (frame) => {
  const next = frame as TreeFrame;
  if (next.full) waiting.length = 0;
  waiting.push(next);
  atNextFrame(takeIn);
});

function takeIn(): void {
  const now_ms = performance.now();
  const restarts = waiting.splice(0).flatMap((frame) => tree.apply(frame, now_ms));
  if (restarts.length > 0) {
    restarted.update((all) => [...all, ...restarts].slice(-KEPT_RESTARTS));
  }
  treeVersion.update((version) => version + 1);
}

/** The tree, watched while the component is there. */
export function useTree(): TreeModel {
  useWants({ topics: ["tree"] });
  useStore(treeVersion);
  return tree;
}
