/** The width of an element in CSS pixels, for what draws by itself; 0 until it is known. */
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

export function useWidth(ref: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const measured = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  return width;
}
