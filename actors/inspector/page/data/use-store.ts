/** Stores in components: however often a value changes, a component is drawn once a frame. */
import { useEffect, useReducer } from "preact/hooks";
import type { Store } from "./store.ts";

const due = new Set<() => void>();
let asked = false;

/** Runs once at the next frame, however often it is asked for; not while the page is hidden. */
export function atNextFrame(run: () => void): void {
  due.add(run);
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const now = [...due];
    due.clear();
    for (const each of now) each();
  });
}

export function useStore<T>(store: Store<T>): T {
  const [, draw] = useReducer((count: number, _: null) => count + 1, 0);
  useEffect(() => {
    const seen = store.value;
    const changed = () => draw(null);
    const end = store.subscribe(() => atNextFrame(changed));
    if (!Object.is(seen, store.value)) changed();
    return () => {
      end();
      due.delete(changed);
    };
  }, [store]);
  return store.value;
}
