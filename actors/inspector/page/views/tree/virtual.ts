/** Which rows of a long list are on the screen. */
import { useEffect, useRef, useState } from "preact/hooks";
import { atNextFrame } from "../../data/use-store.ts";

/** Rows beyond the edges, so that scrolling shows no gap. */
const BEYOND = 6;

export type Window = { readonly first: number; readonly last: number };

export function useVirtual(count: number, row_px: number) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top_px: 0, height_px: 600 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const look = () => setView({ top_px: element.scrollTop, height_px: element.clientHeight });
    const later = () => atNextFrame(look);
    const watch = new ResizeObserver(later);
    watch.observe(element);
    element.addEventListener("scroll", later, { passive: true });
    return () => {
      watch.disconnect();
      element.removeEventListener("scroll", later);
    };
  }, []);
  const first = Math.max(0, Math.floor(view.top_px / row_px) - BEYOND);
  const last = Math.min(count, Math.ceil((view.top_px + view.height_px) / row_px) + BEYOND);
  /** Scrolls as little as shows the row. */
  const show = (index: number) => {
    const element = box.current;
    if (element === null) return;
    const top = index * row_px;
    if (top < element.scrollTop) element.scrollTop = top;
    const below = top + row_px - element.clientHeight;
    if (below > element.scrollTop) element.scrollTop = below;
  };
  return { box, window: { first, last } satisfies Window, show };
}

/** Whether the page is as narrow as a phone. */
export function useNarrow(): boolean {
  const [query] = useState(() => matchMedia("(max-width: 720px)"));
  const [is, setIs] = useState(query.matches);
  useEffect(() => {
    const changed = () => setIs(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, [query]);
  return is;
}
