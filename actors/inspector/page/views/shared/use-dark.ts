/** Whether the reader's system is dark; a component is drawn again when that changes. */
import { useEffect, useState } from "preact/hooks";

export function useDark(): boolean {
  const [dark, setDark] = useState(() => matchMedia(DARK).matches);
  useEffect(() => {
    const query = matchMedia(DARK);
    const changed = () => setDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return dark;
}

const DARK = "(prefers-color-scheme: dark)";
